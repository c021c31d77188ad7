"""Everything this library asks of Optuna below its public names, in one place.

Read off Optuna 5.0; `tests/test_optuna_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, HyperbandPruner, _filter_study
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler, QMCSampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.trial import FrozenTrial, Trial, TrialState


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's notes on studies and trials that are only made anew."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def seeded(sampler: BaseSampler, seeds: np.random.SeedSequence) -> BaseSampler:
    """A sampler whose random numbers come from a seed.

    Args:
        sampler: The sampler, which is changed.
        seeds: Where they come from; each of its generators has a part.
    """
    for part in _parts(sampler):
        for name, value in vars(part).items():
            if isinstance(value, LazyRandomState):
                value.rng.seed(seeds.spawn(1)[0].generate_state(4))
            elif isinstance(value, np.random.RandomState):
                value.seed(seeds.spawn(1)[0].generate_state(4))
            elif isinstance(part, QMCSampler) and name == "_seed":
                # Of the whole sequence, and not of one trial: it is scrambled once.
                part._seed = int(np.random.SeedSequence(seeds.entropy[0]).generate_state(1)[0])  # type: ignore[index]
    return sampler


def drawn_seed(sampler: BaseSampler) -> int:
    """A seed for a study, from a sampler: the same one where the user gave the sampler one.

    Args:
        sampler: A copy: a number is drawn from it.
    """
    for part in _parts(sampler):
        for value in vars(part).values():
            if isinstance(value, LazyRandomState):
                return int(value.rng.randint(2**31 - 1))
    return int(np.random.SeedSequence().generate_state(1)[0])


def _parts(sampler: BaseSampler) -> Iterator[BaseSampler]:
    """A sampler and those that it asks itself."""
    seen: list[BaseSampler] = []
    waiting = [sampler]
    while waiting:
        part = waiting.pop(0)
        if not any(part is other for other in seen):
            seen.append(part)
            yield part
            waiting += [value for value in vars(part).values() if isinstance(value, BaseSampler)]


def grid_points(sampler: GridSampler) -> int:
    """How many points a grid has."""
    return math.prod(len(values) for values in sampler._search_space.values())


def grid_points_left(sampler: GridSampler, attributes: Iterable[Mapping[str, Any]]) -> int:
    """How many points of a grid no trial has been given.

    Args:
        sampler: The grid.
        attributes: What samplers keep of each trial: that it is of a grid, of which one, and which point.
    """
    given = {
        kept["grid_id"]
        for kept in attributes
        if "grid_id" in kept and sampler._same_search_space(kept["search_space"])
    }
    return grid_points(sampler) - len(given)


def brute_force_points(sampler: BruteForceSampler, space: Mapping[str, BaseDistribution]) -> int | None:
    """How many points there are to try, ``None`` where it may try one again or there is no end of them."""
    sizes = [_size(each) for each in space.values()]
    if sampler._avoid_premature_stop or None in sizes:
        return None
    return math.prod(size for size in sizes if size is not None)


def _size(distribution: BaseDistribution) -> int | None:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if not isinstance(distribution, (FloatDistribution, IntDistribution)) or distribution.step is None:
        return None
    return round((distribution.high - distribution.low) / distribution.step) + 1


def has_constraints(sampler: BaseSampler) -> bool:
    """Whether a sampler asks a function of the user's how far a trial breaks constraints."""
    return any(getattr(part, "_constraints_func", None) is not None for part in _parts(sampler))


def has_hyperband_of_unknown_end(pruner: object) -> bool:
    """Whether a pruner is Hyperband, or asks Hyperband, that is to find out itself how long trials train."""
    if isinstance(pruner, HyperbandPruner) and pruner._max_resource == "auto":
        return True
    return isinstance(pruner, BasePruner) and any(map(has_hyperband_of_unknown_end, vars(pruner).values()))


def begin_hyperband(study: optuna.Study) -> None:
    """Have Hyperband know its brackets where it is never asked to prune: samplers look at them.

    Each bracket has trials of its own to learn from.
    """
    pruner = study.pruner
    if isinstance(pruner, HyperbandPruner) and not pruner._pruners:
        pruner._try_initialization(study)


@contextmanager
def stoppable(study: optuna.Study) -> Iterator[None]:
    """Let samplers stop a study that Optuna does not run; `is_stopped` says whether one has."""
    study._thread_local.in_optimize_loop = True
    try:
        yield
    finally:
        study._thread_local.in_optimize_loop = False


def is_stopped(study: optuna.Study) -> bool:
    """Whether a sampler has stopped it."""
    return study._stop_flag


def ask(study: optuna.Study, space: Mapping[str, BaseDistribution]) -> Trial:
    """The next trial."""
    with stoppable(study):
        return study.ask(dict(space))


def tell(
    study: optuna.Study,
    number: int,
    state: TrialState,
    values: Sequence[float] | None,
    scores: Mapping[int, float],
    ended: float | None,
) -> None:
    """A trial is over: what Optuna's own ``tell`` does."""
    trial_id = _trial(study, number)._trial_id
    for step, value in scores.items():
        study._storage.set_trial_intermediate_value(trial_id, step, value)
    if not isinstance(study.sampler, GridSampler):  # which would only stop the study
        trial = study._storage.get_trial(trial_id)
        seen = _filter_study(study, trial)
        with quiet(), stoppable(study):
            seen.sampler.after_trial(seen, trial, state, values)
    study._storage.set_trial_state_values(trial_id, state, values)


def add_trial(study: optuna.Study, trial: FrozenTrial) -> None:
    """Give a study a trial as it stands."""
    study._storage.create_new_trial(study._study_id, template_trial=trial)


def frozen_trial(
    *,
    number: int,
    state: TrialState,
    values: Sequence[float] | None,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    attributes: Mapping[str, Any],
    facts: Mapping[str, Any],
    intermediate: Mapping[int, float],
    started: float | None,
    ended: float | None,
) -> FrozenTrial:
    """A trial as it stands."""
    begun = datetime.fromtimestamp(started or ended or 0.0)
    return FrozenTrial(
        number=number,
        trial_id=-1,
        state=state,
        value=None,
        values=values,
        datetime_start=begun,
        datetime_complete=datetime.fromtimestamp(ended or 0.0) if state.is_finished() else None,
        params=dict(params),
        distributions=dict(distributions),
        user_attrs=dict(facts),
        system_attrs=dict(attributes),
        intermediate_values=dict(intermediate),
    )


def trials(study: optuna.Study) -> int:
    """How many trials a study has."""
    return study._storage.get_n_trials(study._study_id)


def is_over(study: optuna.Study, number: int) -> bool:
    """Whether a trial has ended."""
    return _trial(study, number).state.is_finished()


def trial_attributes(study: optuna.Study, number: int) -> Mapping[str, Any]:
    """What a sampler keeps of a trial."""
    return _trial(study, number).system_attrs


def study_attributes(study: optuna.Study) -> Mapping[str, Any]:
    """What a sampler keeps of a study."""
    attributes: Mapping[str, Any] = study._storage.get_study_system_attrs(study._study_id)
    return attributes


def set_study_attributes(study: optuna.Study, attributes: Mapping[str, Any]) -> None:
    """What a sampler has kept of a study."""
    for key, value in attributes.items():
        study._storage.set_study_system_attr(study._study_id, key, value)


def copied(study: optuna.Study, storage: str) -> optuna.Study:
    """The same study in another storage."""
    name = study.study_name
    optuna.copy_study(from_study_name=name, from_storage=study._storage, to_storage=storage)
    return optuna.load_study(study_name=name, storage=storage)


def _trial(study: optuna.Study, number: int) -> FrozenTrial:
    trial_id = study._storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
    return study._storage.get_trial(trial_id)


def prunes(pruner: BasePruner, study: optuna.Study, number: int) -> bool:
    """Whether a pruner gives a trial up that runs."""
    with warnings.catch_warnings():  # of a trial that was never a number
        warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
        return pruner.prune(study, _trial(study, number))


def add_running(study: optuna.Study) -> None:
    """One more trial, of which nothing is known."""
    study._storage.create_new_trial(study._study_id)


def report(study: optuna.Study, number: int, epoch: int, value: float) -> None:
    """What a trial that runs came to after an epoch."""
    if not is_over(study, number):
        study._storage.set_trial_intermediate_value(_trial(study, number)._trial_id, epoch, value)


def set_trial_attributes(study: optuna.Study, number: int, attributes: Mapping[str, Any]) -> None:
    """What a pruner keeps of a trial."""
    if not is_over(study, number):
        for key, value in attributes.items():
            study._storage.set_trial_system_attr(_trial(study, number)._trial_id, key, value)


def set_over(study: optuna.Study, number: int, state: TrialState, values: Sequence[float] | None) -> None:
    """A trial has ended."""
    if not is_over(study, number):
        study._storage.set_trial_state_values(_trial(study, number)._trial_id, state, values)
