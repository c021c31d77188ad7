"""What the user configured of a study."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from burr.core import Condition, State
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler

from ..errors import ArgumentError
from ..metric import Mode
from ..persisters import Place, written_down
from . import optuna_access as access
from .deciding import Decisions, OwnDecisions, OwnSampler
from .ledger import TrialRecord
from .state import initial_state
from .store import StudyFolder, place_of
from .trial import Trial, TrialTask


@dataclass(frozen=True)
class StudySettings:
    """What the user configured of a study; see `Study`."""

    objective: Callable[[Trial], Any]
    space: Mapping[str, BaseDistribution]
    sampler: BaseSampler | OwnSampler
    pruner: BasePruner | None
    monitor: str | None
    directions: tuple[Mode, ...]
    n_trials: int | None
    stop_when: Condition | None
    parallel: int
    executor: Executor | None
    attempts: int
    seed: int | None
    persister: Place | None
    tracker: bool
    folder: StudyFolder

    def __post_init__(self) -> None:
        if not callable(self.objective):
            self._refuse("objective", "a function that is given a trial and trains it")
        for name, value in self.space.items():
            if not isinstance(value, BaseDistribution):
                raise ArgumentError(
                    f"Study(space={{{name!r}: {value!r}}}): it must be a distribution of Optuna's, as "
                    f"optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True) is."
                )
        own = not isinstance(self.sampler, BaseSampler)
        if own and not callable(self.sampler):
            self._refuse("sampler", "a sampler of Optuna's, or a function from the ledger to parameters")
        if not own and not self.space:
            self._refuse("space", "a distribution for each parameter; a sampler of Optuna's asks them")
        for name in ("parallel", "attempts", *(["n_trials"] if self.n_trials is not None else [])):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                self._refuse(name, "a whole number, 1 or more")
        if not self.directions:
            self._refuse("directions", "'min' or 'max', or one for each value")
        if self.pruner is not None and not isinstance(self.pruner, BasePruner):
            self._refuse("pruner", "a pruner of Optuna's")
        if self.pruner is not None and (self.monitor is None or len(self.directions) > 1):
            raise ArgumentError(
                f"Study(pruner={self.pruner!r}): a pruner looks at one monitored metric. Give "
                f"Study(monitor=...) and one direction, or leave the pruner out."
            )
        if self.stop_when is not None and not isinstance(self.stop_when, Condition):
            self._refuse("stop_when", "a Burr condition, as burr_lightning.tuning.no_improvement(20) is")

    def _refuse(self, argument: str, rule: str) -> None:
        raise ArgumentError(f"Study({argument}={getattr(self, argument)!r}): it must be {rule}.")

    @property
    def study_id(self) -> str:
        """The study's name."""
        return self.folder.study_id

    @property
    def place(self) -> Place:
        """Where rows are."""
        return place_of(self.folder.root, self.persister)

    def first_state(self) -> State[Any]:
        """The state of the study before its first trial."""
        seed = self.seed
        if seed is None and isinstance(self.sampler, BaseSampler):
            seed = access.drawn_seed(copy.deepcopy(self.sampler))
        return State(initial_state(self.directions, self.parallel, self._most_trials(), seed or 0))

    def as_configured_now(self, stored: State[Any]) -> State[Any]:
        """A stored state under the settings of today: trials that were under way wait to be gone on with.

        Raises:
            ArgumentError: If the directions are others.
        """
        ledger = stored["ledger"]
        if ledger.directions != self.directions:
            raise ArgumentError(
                f"Study({self.study_id!r}) was begun with direction={list(ledger.directions)}, and has trials "
                f"whose values were compared so. Give it that one, or start a new study."
            )
        for trial in ledger.running:
            ledger = ledger.set_back(trial, "the study was interrupted")
        return stored.update(ledger=ledger, parallel=self.parallel, n_trials=self._most_trials(), stop_reason=None)

    def _most_trials(self) -> int | None:
        most = self.decisions(0).most_trials
        given = [each for each in (self.n_trials, most) if each is not None]
        return min(given) if given else None

    def decisions(self, seed: int) -> Decisions | OwnDecisions:
        """What says which trial is next."""
        if not isinstance(self.sampler, BaseSampler):
            return OwnDecisions(self.sampler)
        return Decisions(self.study_id, self.sampler, self.pruner, self.space, seed)

    def task(self, trial: TrialRecord, sequence_id: int) -> TrialTask:
        """What a worker is given."""
        return TrialTask(
            objective=self.objective,
            number=trial.number,
            params=trial.params,
            run_id=trial.run_id,
            attempt=trial.attempts + 1,
            study_id=self.study_id,
            sequence_id=sequence_id,
            project=self.folder.project,
            root=self.folder.root,
            persister=self.persister,
            tracker=self.tracker,
            monitor=self.monitor,
            directions=self.directions,
            pruner=self.pruner,
            scores=self.folder.scores,
        )

    def write_info(self) -> None:
        """Write down what the study is."""
        self.folder.write_info(
            directions=list(self.directions),
            monitor=self.monitor,
            persister=written_down(self.persister) if self.persister is not None else None,
            space={name: distribution_to_json(each) for name, each in self.space.items()},
        )
