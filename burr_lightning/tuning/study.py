"""`Study`: a hyperparameter search that is a state machine, and whose trials are runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from burr.core import Condition, State
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, TPESampler

from ..errors import ArgumentError, RunIdError, StudyLockedError
from ..layout import DEFAULT_PROJECT, checked_project, checked_run_id, home, new_run_id
from ..locks import RunLock, is_held
from ..metric import Mode, checked_mode
from ..persisters import PersisterUrl, Place, connected
from .deciding import OwnSampler
from .params import plain_space
from .population import PopulationBased
from .reading import StudyReader
from .rows import StudyRows
from .running import RunningStudy
from .scores import Scores
from .settings import StudySettings
from .state import initial_state
from .store import StudyFolder, newest_row
from .trial import Trial

_LONGEST = 90
"""Of the 100 letters of a run's name: a trial's is its study's, and its number behind it."""


class Study(StudyReader):
    """A hyperparameter search: a Burr application whose trials are runs.

    ``run`` starts it, and goes on with it where a process that ran it has ended: trials that are over are
    never run again, and those that were under way go on from their own last commit.

    Args:
        objective: What trains one trial: it is given a `Trial`, and returns the trial's value, or several
            where there are several directions. ``None`` takes the best value of ``monitor``,
            and in a population the newest one.
        space: The distribution of each parameter, of ``optuna.distributions``; not needed where ``sampler``
            is a function.
        sampler: Any sampler of Optuna's, or a function from the `Ledger` to the parameters of the next trial,
            or `PopulationBased`; ``None`` is Optuna's ``TPESampler``.
        pruner: Any pruner of Optuna's, asked after each epoch that logged ``monitor``, also as NaN.
        monitor: The metric that says how good a trial is.
        direction: ``"min"`` or ``"max"``, or one for each value that the objective returns.
        n_trials: How many trials, ``None`` for no limit.
        stop_when: What ends the study sooner: a Burr condition on its state; see
            ``burr_lightning.tuning.stopping``.
        parallel: How many trials run at once, 1 or more; ``None`` is 1, or as many as the executor has
            workers, where it says so.
        executor: What runs them: any of ``concurrent.futures``; ``None`` is a process here for each trial.
        run_id: The study's name, a folder's name; ``None`` for a new one.
        project: The project that it and its trials belong to.
        attempts: How often a trial is begun whose process dies, 1 or more.
        seed: What the sampler's random numbers come from; ``None`` takes the sampler's own.
        persister: As in `BurrCallback`.
        tracker: Whether Burr's own tracker knows the study and its trials.
        root_dir: As in `BurrCallback`.

    Raises:
        ArgumentError: If an argument is of another kind than it has to be, or ``direction`` is no direction.
        RunIdError: If ``run_id`` or ``project`` cannot name a folder.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> from burr_lightning.tuning import InProcess
        >>> def objective(trial):
        ...     return (trial.params["x"] - 1) ** 2  # a real one trains with trial.callback()
        >>> space = {"x": FloatDistribution(-3, 3)}
        >>> study = Study(objective, space, n_trials=8, seed=1, executor=InProcess(), run_id="parabola")
        >>> study.run().best.value < 1
        True
    """

    def __init__(
        self,
        objective: Callable[[Trial], Any],
        space: Mapping[str, BaseDistribution] | None = None,
        *,
        sampler: BaseSampler | PopulationBased | OwnSampler | None = None,
        pruner: BasePruner | None = None,
        monitor: str | None = None,
        direction: Mode | Sequence[Mode] = "min",
        n_trials: int | None = None,
        stop_when: Condition | None = None,
        parallel: int | None = None,
        executor: Executor | None = None,
        run_id: str | None = None,
        project: str = DEFAULT_PROJECT,
        attempts: int = 3,
        seed: int | None = None,
        persister: str | Place | None = None,
        tracker: bool = True,
        root_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        name = run_id if run_id is not None else new_run_id()
        self.run_id = checked_run_id(name, f"Study(run_id={run_id!r})")
        if len(self.run_id) > _LONGEST:
            rule = f"a study's has {_LONGEST} letters at most, since its trials' runs are called after it."
            raise RunIdError(self.run_id, f"Study(run_id={run_id!r})", rule)
        several = isinstance(direction, Sequence) and not isinstance(direction, str)
        modes: Sequence[Any] = direction if several else [direction]
        if any(mode not in ("min", "max") for mode in modes):
            raise ArgumentError(
                f"Study(direction={direction!r}): it must be 'min' or 'max', or a list with one of these for "
                f"each value that the objective returns."
            )
        self.settings = StudySettings(
            objective=objective,
            space=plain_space(space or {}),
            sampler=TPESampler() if sampler is None else sampler,
            pruner=pruner,
            monitor=monitor,
            directions=tuple(modes),
            n_trials=n_trials,
            stop_when=stop_when,
            parallel=_workers(executor) if parallel is None else parallel,
            executor=executor,
            attempts=attempts,
            seed=seed,
            persister=PersisterUrl.parse(persister, "Study") if isinstance(persister, str) else persister,
            tracker=tracker,
            folder=StudyFolder(home(root_dir), checked_project(project), self.run_id),
        )
        self._running: RunningStudy | None = None

    @property
    def space(self) -> Mapping[str, BaseDistribution]:
        """The distribution of each parameter."""
        return self.settings.space

    @property
    def monitor(self) -> str | None:
        """The metric that says how good a trial is, ``None`` where the objective says it."""
        return self.settings.monitor

    @property
    def scores(self) -> Scores:
        """What its trials came to after each epoch."""
        return Scores(self.settings.folder.scores)

    @property
    def is_run(self) -> bool:
        """Whether a process runs it."""
        return is_held(self.settings.folder.lock)

    @property
    def state(self) -> State[Any]:
        """The state of its machine; see ``burr_lightning.tuning.state`` for its keys."""
        if self._running is not None:
            return self._running.state
        if self.settings.folder.info() is None:
            return self.settings.first_state()
        return OpenedStudy(self.settings.folder, self.settings.persister).state

    @staticmethod
    def open(
        run_id: str,
        project: str = DEFAULT_PROJECT,
        *,
        root_dir: str | os.PathLike[str] | None = None,
        persister: str | Place | None = None,
    ) -> OpenedStudy:
        """A study as it is stored, also while another process runs it.

        Args:
            run_id: Its name.
            project: Its project.
            root_dir: Where it is kept, as in `BurrCallback`.
            persister: Where its rows are; ``None`` for where its folder says.

        Raises:
            StudyNotFoundError: If there is no such study.
        """
        place = PersisterUrl.parse(persister, "Study.open") if isinstance(persister, str) else persister
        return OpenedStudy(StudyFolder(home(root_dir), project, run_id), place)

    def run(self) -> Study:
        """Run it until it ends; go on with it where it was interrupted.

        Returns:
            The study itself.

        Raises:
            StudyLockedError: If another process runs it.
            NameTakenError: If a run has its name.
            HalfDeletedStudyError: If it is deleted in part.
            ArgumentError: If it was begun with another direction, seed or space.
            LostStudyRowsError: If it was run before, and its rows are not where they are looked for.
            ExecutorClosedError: If its executor takes nothing any more.
            NoTrialFinishedError: If all of its trials have failed; some of them may be worth a look.
            UnknownMonitorError: If a trial has trained, nothing has logged ``monitor``, and no trial has a
                value: the others would train for nothing. With another ``monitor`` it goes on.
            ExecutorBrokenError: If the executor runs nothing any more; what was done is stored.
            ProcessNotStartedError: If the process of a trial could not begin, as none of the others can.
            NotPickledError: If the objective cannot be sent to another process.
            NestedStudyError: In a process of a trial, where the script that it imports runs the study again.
            ResumeError: If a row that holds a part of its trials is gone.
        """
        settings = self.settings
        settings.folder.create()
        with RunLock(settings.folder.lock, self.run_id, error=StudyLockedError):
            settings.folder.create()  # it may have been deleted while this process waited for the lock
            persister = connected(settings.place, self.run_id)
            try:
                self._running = RunningStudy(
                    settings, StudyRows(persister, settings.folder.project, self.run_id)
                )
                self._running.run()
            finally:
                persister.cleanup()
        return self


def _workers(executor: Executor | None) -> int:
    """How many calls an executor runs at once, as the pools of ``concurrent.futures`` and ours say it."""
    return int(getattr(executor, "_max_workers", 1))


class OpenedStudy(StudyReader):
    """A study as it is stored.

    Args:
        folder: Its folder.
        persister: Where its rows are, ``None`` for where its folder says.

    Raises:
        StudyNotFoundError: If there is no such study.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> from burr_lightning.tuning import InProcess
        >>> space = {"x": FloatDistribution(0, 1)}
        >>> options = dict(n_trials=2, executor=InProcess(), run_id="x")
        >>> ran = Study(lambda trial: trial.params["x"], space, **options).run()
        >>> len(Study.open("x").trials)
        2
    """

    def __init__(self, folder: StudyFolder, persister: Place | None) -> None:
        self.run_id, self._scores = folder.study_id, folder.scores
        self._is_run = is_held(folder.lock)  # before its row: one that has ended has all its rows
        self.info, row = newest_row(folder, persister)
        directions = [checked_mode(mode, "study.json") for mode in self.info.directions]
        self._state = row.state if row is not None else State(initial_state(directions, 1, None, 0))

    @property
    def space(self) -> Mapping[str, BaseDistribution]:
        """The distribution of each parameter."""
        return {name: json_to_distribution(text) for name, text in self.info.space.items()}

    @property
    def monitor(self) -> str | None:
        """The metric that says how good a trial is, ``None`` where the objective says it."""
        return self.info.monitor

    @property
    def scores(self) -> Scores:
        """What its trials came to after each epoch."""
        return Scores(self._scores)

    @property
    def is_run(self) -> bool:
        """Whether a process ran it when it was opened."""
        return self._is_run

    @property
    def state(self) -> State[Any]:
        """The state of its machine, as it was stored last."""
        return self._state
