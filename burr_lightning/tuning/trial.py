"""What an objective is given: hyperparameters, and the callback to train with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ArgumentError
from ..metric import Mode
from ..persisters import Place
from ..state import best_of
from .segments import Segment
from .trial_record import TrialRecord

if TYPE_CHECKING:
    from optuna.pruners import BasePruner

    from ..callback import BurrCallback
    from .trial_callback import TrialCallback

_OF_THE_STUDY = ("run_id", "project", "persister", "root_dir")


@dataclass(frozen=True)
class TrialTask:
    """Everything that a worker needs to train a trial.

    Attributes:
        objective: What trains it.
        number: Which trial it is.
        params: Its hyperparameters.
        run_id: The run that it trains.
        attempt: How often it was begun, this time included.
        study_id: Its study.
        sequence_id: The study's step that has launched it.
        project: The project of both.
        root: Where runs are kept.
        persister: Where rows are; ``None`` for SQLite beside the runs.
        tracker: Whether Burr's tracker knows its run.
        monitor: The metric that says how good it is.
        directions: In which direction each value gets better.
        pruner: Optuna's pruner, ``None`` for none.
        scores: Where the study's trials report what they come to.
        segment: What it trains of a member of a population, ``None`` where there is none.
        parent: The trial whose run it forks, ``None`` for one that begins anew.
    """

    objective: Callable[[Any], Any]
    number: int
    params: Mapping[str, Any]
    run_id: str
    attempt: int
    study_id: str
    sequence_id: int
    project: str
    root: Path
    persister: Place | None
    tracker: bool
    monitor: str | None
    directions: tuple[Mode, ...]
    pruner: BasePruner | None
    scores: Path
    segment: Segment | None = None
    parent: TrialRecord | None = None


class Trial:
    """One trial, as the objective sees it.

    Attributes:
        number: Which one, 0-based.
        params: Its hyperparameters.
        run_id: The run that it trains.
        attempt: 1, and more where a process that trained it has died.
        member: Which member of a population it trains, ``None`` without a population.
        parent: The trial that it goes on from, ``None`` for one that begins anew.
        max_epochs: For ``Trainer(max_epochs=...)``: how many epochs are trained in all where this segment of
            the member ends; ``None`` without a population.

    Example:
        >>> from optuna.distributions import IntDistribution
        >>> from burr_lightning.tuning import InProcess, Study
        >>> def objective(trial):  # burr = trial.callback() is what a Trainer is given
        ...     return abs(trial.params["width"] - 64) + trial.attempt - 1
        >>> study = Study(objective, {"width": IntDistribution(8, 128)}, n_trials=2, executor=InProcess())
        >>> [record.status for record in study.run().trials]
        ['finished', 'finished']
    """

    def __init__(self, task: TrialTask) -> None:
        self.task = task
        self.number, self.params, self.run_id = task.number, dict(task.params), task.run_id
        self.attempt, segment = task.attempt, task.segment
        self.member = segment.member if segment is not None else None
        self.parent = segment.parent if segment is not None else None
        self.max_epochs = segment.max_epochs if segment is not None else None
        self._callbacks: list[TrialCallback] = []
        self.trained = False
        """Whether a ``fit`` of its run was gone through in this attempt, that had something to train."""
        self.came_to_its_end = False
        """Whether its run has trained for as long as it was to."""
        self.refused_monitor: list[str] | None = None
        """What its run had logged when it was refused to train on without the study's monitor."""

    def __getstate__(self) -> dict[str, Any]:
        """What processes need that train it with its callback: nothing of what has started them."""
        return {**self.__dict__, "task": replace(self.task, objective=_is_elsewhere), "_callbacks": []}

    def callback(self, **options: Any) -> BurrCallback:
        """The callback to train with: it is in the study's store, and has the pruner in its machine.

        Args:
            options: Arguments of `BurrCallback`; the run, its project and where it is kept are the study's,
                and so are ``monitor`` and ``mode`` unless they are given.

        Raises:
            ArgumentError: If an argument is given that is the study's, or the machine would leave ``fit`` to
                wait for a human.
        """
        from .trial_callback import trial_callback

        taken = sorted(options.keys() & set(_OF_THE_STUDY))
        if taken:
            raise ArgumentError(
                f"trial.callback({taken[0]}=...): {', '.join(_OF_THE_STUDY)} are those of the study. Leave "
                f"them out here, and give them to Study(...)."
            )
        callback = trial_callback(self, options)
        self._callbacks.append(callback)
        return callback

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The best epoch of the run that was trained, ``None`` where none was monitored.

        It is that of the study's own monitor in the study's direction, whatever a callback monitors.
        """
        best: Mapping[str, Any] | None = self._state("best")
        history = self._state("history")
        metric = self.task.monitor or (self._state("monitor") or {}).get("metric")
        if history is None or metric is None:
            return None
        found = best_of(history, {"metric": metric, "mode": self.task.directions[0]})
        if best and found and (best["epoch"], best["value"]) == (found["epoch"], found["value"]):
            return best  # which knows its checkpoint
        return found

    @property
    def logged_instead(self) -> list[str] | None:
        """What its run has logged, where that has trained without the study's monitor; else ``None``.

        One that has stopped early, or failed for another reason, may yet have logged it.
        """
        if self.refused_monitor is not None:
            return self.refused_monitor
        history, monitor = self._state("history"), self.task.monitor
        if not self.came_to_its_end or monitor is None or len(self.task.directions) != 1:
            return None
        if history is None or monitor in history:
            return None
        return list(history.names)

    @property
    def pruned(self) -> str | None:
        """Why the run was pruned, ``None`` where it was not."""
        from .pruning import is_pruned

        trained = [each for each in self._callbacks if each.opened]
        ended = next((each for each in trained if is_pruned(each.machine, each.position)), None)
        return None if ended is None else str(ended.state["stop_reason"])

    @property
    def interrupted(self) -> bool:
        """Whether its training was told to end, and has not."""
        return any(each.interrupted for each in self._callbacks)

    @property
    def waits_for(self) -> str | None:
        """What its run asks a human, ``None`` where it does not wait."""
        return next((each.waits_for for each in self._callbacks if each.paused), None)

    @property
    def newest_score(self) -> tuple[float | None, int | None]:
        """The newest value of the monitored metric and its epoch."""
        metrics, epoch = self._state("metrics") or {}, self._state("epoch")
        value = metrics.get(self.task.monitor)
        return value, None if value is None else epoch

    def _state(self, key: str) -> Any:
        return next((each.state[key] for each in reversed(self._callbacks) if each.opened), None)


def _is_elsewhere(trial: Trial) -> NoReturn:
    raise AssertionError("the objective is in the process that has started this one")
