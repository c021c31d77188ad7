"""What to try next: asked of Optuna, whose objects are made anew from the ledger."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, BruteForceSampler, GridSampler
from optuna.trial import FrozenTrial, TrialState

from ..errors import ArgumentError
from ..metric import Mode
from . import optuna_access as access
from .ledger import Ledger
from .trial_record import TrialRecord

OwnSampler = Callable[[Ledger], Mapping[str, Any]]
"""A user's own sampler: from the ledger to the parameters of the next trial."""

_STATES = {
    "waiting": TrialState.RUNNING,  # it has been suggested, and will be run
    "running": TrialState.RUNNING,
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@dataclass(frozen=True)
class Suggestion:
    """The next trial."""

    params: Mapping[str, Any]
    attributes: Mapping[str, Any]
    """What the sampler keeps of it."""
    study_attributes: Mapping[str, Any]
    """What the sampler keeps of the study, where that has changed."""
    segment: Mapping[str, Any] | None = None
    """What it trains of a member of a population: what `Segment` has; ``None`` where there is none."""


class Decisions:
    """Asks a sampler of Optuna's for the next trial.

    What it is told of, and what its random numbers are, follows from the ledger, the seed and the trial's
    number alone: so a study that was interrupted suggests what it would have suggested.

    Args:
        study_id: The study's name.
        sampler: Optuna's sampler; it is never changed, each trial is asked of a copy.
        pruner: Optuna's pruner: some samplers look at it.
        space: The distribution of each parameter.
        seed: What the random numbers come from.
    """

    def __init__(
        self,
        study_id: str,
        sampler: BaseSampler,
        pruner: BasePruner | None,
        space: Mapping[str, BaseDistribution],
        seed: int,
    ) -> None:
        self._study_id, self._sampler, self._pruner = study_id, sampler, pruner
        self._space, self._seed = dict(space), seed
        self._study: optuna.Study | None = None
        self._ledger: Ledger | None = None

    def left(self, ledger: Ledger) -> int | None:
        """How many trials there still are to ask for, ``None`` where there is no end of them."""
        if isinstance(self._sampler, BruteForceSampler):
            points = access.brute_force_points(self._sampler, self._space)
            return None if points is None else max(points - len(ledger), 0)
        if not isinstance(self._sampler, GridSampler):
            return None
        return access.grid_points_left(self._sampler, (trial.attributes for trial in ledger))

    @property
    def stopped(self) -> str | None:
        """Why the sampler has stopped the study, ``None`` where it has not."""
        if self._study is None or not access.is_stopped(self._study):
            return None
        return f"{type(self._sampler).__name__} stopped the study: it has nothing more to try"

    def suggest(self, ledger: Ledger) -> Suggestion:
        """The parameters of the next trial.

        Args:
            ledger: What is known.
        """
        study = self._of(ledger)
        study.sampler = self._seeded(len(ledger))
        before = dict(access.study_attributes(study))
        trial = access.ask(study, self._space)
        assert trial.number == len(ledger)
        after = access.study_attributes(study)
        changed = {key: value for key, value in after.items() if before.get(key) != value}
        return Suggestion(dict(trial.params), dict(access.trial_attributes(study, trial.number)), changed)

    def ended(self, ledger: Ledger, trial: TrialRecord) -> Mapping[str, Any]:
        """Tell the sampler of a trial that is over, and what it then keeps of it beside what it kept.

        Args:
            ledger: What was known before it was over.
            trial: The trial, as it is now.
        """
        study = self._of(ledger)
        study.sampler = self._seeded(trial.number)
        before = dict(trial.attributes)
        if not access.is_over(study, trial.number):  # it is, where an interrupted step is made again
            _tell(study, trial)
        after = access.trial_attributes(study, trial.number)
        return {key: value for key, value in after.items() if before.get(key) != value}

    def _of(self, ledger: Ledger) -> optuna.Study:
        """Optuna's study, up to date with the ledger."""
        if self._study is None or self._ledger is None or not ledger.extends(self._ledger):
            pruner = copy.deepcopy(self._pruner)  # trials of this process are asked of the user's own
            self._study = as_optuna(self._study_id, ledger, self._space, self._sampler, pruner)
            access.begin_hyperband(self._study)
        else:
            for number in _touched(ledger, self._ledger):
                if number >= access.trials(self._study) or access.is_over(self._study, number):
                    continue
                if ledger[number].status in ("finished", "pruned", "failed"):
                    _tell(self._study, ledger[number])
        self._ledger = ledger
        return self._study

    def _seeded(self, trial: int) -> BaseSampler:
        return access.seeded(copy.deepcopy(self._sampler), np.random.SeedSequence([self._seed, trial]))


class OwnDecisions:
    """Asks a user's own function for the next trial.

    Args:
        sampler: The function.
    """

    stopped: str | None = None

    def __init__(self, sampler: OwnSampler) -> None:
        self._sampler = sampler

    def left(self, ledger: Ledger) -> int | None:
        """There is no end of them."""
        return None

    def suggest(self, ledger: Ledger) -> Suggestion:
        """The parameters of the next trial."""
        params = self._sampler(ledger)
        if not isinstance(params, Mapping):
            raise ArgumentError(
                f"Study(sampler={self._sampler!r}): for trial {len(ledger)} it returned {params!r}. It must "
                f"return the trial's parameters, as {{'lr': 0.1}} is."
            )
        return Suggestion(dict(params), {}, {})

    def ended(self, ledger: Ledger, trial: TrialRecord) -> Mapping[str, Any]:
        """It reads the ledger."""
        return {}


def as_optuna(
    study_id: str,
    ledger: Ledger,
    space: Mapping[str, BaseDistribution],
    sampler: BaseSampler | None = None,
    pruner: BasePruner | None = None,
    scores: Callable[[TrialRecord], Mapping[int, float]] = lambda trial: {},
    params: Callable[[TrialRecord], Mapping[str, Any]] = lambda trial: trial.params,
) -> optuna.Study:
    """An Optuna study in memory that has all trials of a ledger.

    Args:
        study_id: Its name.
        ledger: The ledger.
        space: The distribution of each parameter.
        sampler: Its sampler; ``None`` is Optuna's default.
        pruner: Its pruner; ``None`` prunes nothing.
        scores: What a trial reported after each epoch.
        params: The parameters of a trial, as the space has them.
    """
    with access.quiet():
        study = optuna.create_study(
            study_name=study_id,
            sampler=sampler,
            pruner=pruner or NopPruner(),
            directions=[_in_optunas_words(mode) for mode in ledger.directions],
        )
    access.set_study_attributes(study, ledger.study_attributes)
    for trial in ledger:
        access.add_trial(study, frozen(replace(trial, params=params(trial)), space, scores(trial)))
    return study


def frozen(
    trial: TrialRecord, space: Mapping[str, BaseDistribution], scores: Mapping[int, float]
) -> FrozenTrial:
    """A trial in Optuna's words.

    Args:
        trial: The trial.
        space: The distribution of each parameter; those without one are left out.
        scores: What it reported after each epoch.
    """
    return access.frozen_trial(
        number=trial.number,
        state=_STATES[trial.status],
        values=trial.comparable,
        params={name: value for name, value in trial.params.items() if name in space},
        distributions={name: space[name] for name in trial.params if name in space},
        attributes=trial.attributes,
        facts={"run_id": trial.run_id},
        intermediate=dict(scores) or trial.last_score,
        started=trial.started,
        ended=trial.ended,
    )


def _tell(study: optuna.Study, trial: TrialRecord) -> None:
    access.tell(study, trial.number, _STATES[trial.status], trial.comparable, trial.last_score, trial.ended)


def _touched(ledger: Ledger, known: Ledger) -> Iterator[int]:
    events: Sequence[Mapping[str, Any]] = ledger.chunk(known.events)["events"]
    return (cast("int", event["trial"]) for event in events)


def _in_optunas_words(mode: Mode) -> Literal["minimize", "maximize"]:
    return "minimize" if mode == "min" else "maximize"
