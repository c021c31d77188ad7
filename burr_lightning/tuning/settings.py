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
from optuna.samplers import BaseSampler, RandomSampler

from ..errors import ArgumentError, LostStudyRowsError, NameTakenError
from ..known_runs import readable_info
from ..layout import RunFolder, RunInfo
from ..metric import Mode
from ..persisters import PersisterUrl, Place, written_down
from ..runs.family import fork_point
from . import optuna_access as access
from .as_before import refuse_other_directions, refuse_other_seed, refuse_other_space
from .deciding import Decisions, OwnDecisions, OwnSampler
from .evolving import PopulationDecisions
from .kinds import refuse_other_kinds
from .ledger import Ledger
from .outcomes import INTERRUPTED
from .population import PopulationBased
from .refusing import refuse_what_would_be_wrong
from .state import initial_state
from .stopping import stopped_as_before
from .store import StudyFolder, place_of
from .trial import Trial, TrialTask
from .trial_record import TrialRecord


@dataclass(frozen=True)
class StudySettings:
    """What the user configured of a study; see `Study`."""

    objective: Callable[[Trial], Any]
    space: Mapping[str, BaseDistribution]
    sampler: BaseSampler | PopulationBased | OwnSampler
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
        refuse_other_kinds(vars(self))
        own = not isinstance(self.sampler, (BaseSampler, PopulationBased))
        distributions = "a distribution for each parameter; every sampler but a function asks for them"
        self._see_that("objective", callable(self.objective), "a function that trains a trial")
        samplers = "a sampler of Optuna's, or a function, or PopulationBased(...)"
        self._see_that("sampler", callable(self.sampler) or not own, samplers)
        self._see_that("space", own or bool(self.space), distributions)
        self._see_that("directions", bool(self.directions), "'min' or 'max', or one for each value")
        pruner, stop = self.pruner, self.stop_when
        self._see_that("pruner", pruner is None or isinstance(pruner, BasePruner), "a pruner of Optuna's")
        self._see_that("stop_when", stop is None or isinstance(stop, Condition), "a Burr condition")
        for name in ("parallel", "attempts", *(["n_trials"] if self.n_trials is not None else [])):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            self._see_that(name, whole, "a whole number, 1 or more")
        self._see_to_space()
        refuse_what_would_be_wrong(self.sampler, pruner, stop, self.directions)
        if isinstance(self.sampler, PopulationBased):
            self.sampler.refuse_other(parallel=self.parallel, directions=self.directions, pruner=pruner)
        if pruner is not None and (self.monitor is None or len(self.directions) > 1):
            raise ArgumentError(
                f"Study(pruner={pruner!r}): a pruner looks at one monitored metric. Give Study(monitor=...) "
                f"and one direction, or leave the pruner out."
            )

    def _see_to_space(self) -> None:
        for name, value in self.space.items():
            if not isinstance(value, BaseDistribution):
                raise ArgumentError(
                    f"Study(space={{{name!r}: {value!r}}}): it must be a distribution of Optuna's, as "
                    f"optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True) is."
                )

    def _see_that(self, argument: str, right: bool, rule: str) -> None:
        if not right:
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
        elif seed is None and isinstance(self.sampler, PopulationBased):
            seed = access.drawn_seed(RandomSampler())
        return State(
            initial_state(
                self.directions, self.parallel, self._most_trials(Ledger(self.directions)), seed or 0
            )
        )

    def as_configured_now(self, stored: State[Any]) -> State[Any]:
        """A stored state under the settings of today: trials that were under way wait to be gone on with.

        Raises:
            ArgumentError: If the directions, the seed or the space are others.
        """
        refuse_other_directions(self.study_id, self.directions, stored)
        refuse_other_seed(self.study_id, self.seed, stored)
        info = self.folder.info()
        if info is not None:
            refuse_other_space(self.study_id, self.space, info.space, stored["ledger"])
        now: dict[str, Any] = {"parallel": self.parallel, "n_trials": self._most_trials(stored["ledger"])}
        now["unknown_monitor"] = stored.get("unknown_monitor")  # older rows have none
        state = self.set_back(stored).update(outcome=None, interrupted=None, **now)
        return stopped_as_before(state, self.stop_when)

    @staticmethod
    def set_back(state: State[Any]) -> State[Any]:
        """A state in which all trials that run wait to be gone on with."""
        ledger = state["ledger"]
        for trial in ledger.running:
            ledger = ledger.set_back(trial, INTERRUPTED, died=False)
        return state.update(ledger=ledger)

    def _most_trials(self, ledger: Ledger) -> int | None:
        left = self.decisions(0).left(ledger)
        most = None if left is None else len(ledger) + left
        given = [each for each in (self.n_trials, most) if each is not None]
        return min(given) if given else None

    def decisions(self, seed: int) -> Decisions | PopulationDecisions | OwnDecisions:
        """What says which trial is next."""
        if isinstance(self.sampler, PopulationBased):
            return PopulationDecisions(self.sampler, self.space, seed)
        if not isinstance(self.sampler, BaseSampler):
            return OwnDecisions(self.sampler)
        return Decisions(self.study_id, self.sampler, self.pruner, self.space, seed)

    def task(self, trial: TrialRecord, sequence_id: int, parent: TrialRecord | None = None) -> TrialTask:
        """What a worker is given.

        Raises:
            NameTakenError: If there is a study, or a run that is none of this one's, of the trial's name.
        """
        folder = RunFolder(self.folder.root, self.folder.project, trial.run_id)
        run = folder.info()
        is_fork = run is not None and _is_fork_of(parent, folder, run)
        is_other = run is not None and run.study != self.study_id and not is_fork
        if is_other or folder.study_marker.exists():
            call = f"Study(run_id={self.study_id!r}), trial {trial.number}, run_id={trial.run_id!r}"
            kind = "run" if is_other else "study"
            raise NameTakenError(call, trial.run_id, kind, str(self.folder.path.parent))
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
            segment=trial.segment,
            parent=parent,
        )

    def refuse_lost_rows(self) -> None:
        """A study must not begin anew where its rows are elsewhere: it is called where there are none.

        Raises:
            LostStudyRowsError: If it had rows.
        """
        info = self.folder.info()  # written after the first row
        if info is not None:
            store = str(self.place) if isinstance(self.place, PersisterUrl) else written_down(self.place)
            raise LostStudyRowsError(self.study_id, str(self.folder.path), store, info.persister)

    def write_info(self) -> None:
        """Write down what the study is."""
        self.folder.write_info(
            directions=list(self.directions),
            monitor=self.monitor,
            persister=written_down(self.persister) if self.persister is not None else None,
            space={name: distribution_to_json(each) for name, each in self.space.items()},
        )


def _is_fork_of(parent: TrialRecord | None, folder: RunFolder, run: RunInfo) -> bool:
    """Whether a run was forked from a trial's, and not trained yet: that writes down the study."""
    at = fork_point(run)
    if parent is None or at is None or at.run_id != parent.run_id:
        return False
    there = readable_info(RunFolder(folder.root, folder.project, parent.run_id))
    return there is None or at.is_in(there)  # a deleted study of this name may have kept one of its forks
