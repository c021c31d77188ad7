"""The callback of a trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from .. import lightning_limits as limits
from ..callback import BurrCallback
from ..errors import ArgumentError, TrainerError, UnknownMetricError
from ..settings import RunSettings
from ..waiting import waits
from .forked import see_to_fork
from .interrupting import is_interruption
from .pruning import Scores, prunes, reports_to, with_pruning
from .trial import Trial, TrialTask


class TrialCallback(BurrCallback):
    """A callback whose run is a child of a study, and of a member of a population a fork as well.

    Args:
        trial: The trial.
        options: Arguments of `BurrCallback`.
    """

    def __init__(self, trial: Trial, **options: Any) -> None:
        self._trial = trial
        self.interrupted = False
        """Whether the newest ``fit`` was told to end."""
        super().__init__(**options)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Open the run; that of a member which goes on from another trial is made here."""
        drives = stage == "fit" and self.drives(pl_module)
        if drives and trainer.is_global_zero and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            see_to_fork(self._task, pl_module)
        super().setup(trainer, pl_module, stage)
        if drives:
            self.interrupted = False
            self._refuse_a_second_run()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The machine ends with Lightning."""
        super().on_fit_end(trainer, pl_module)
        self._trial.trained |= not self._fitting.standing.finished
        self._trial.came_to_its_end |= self._is_at_its_limit(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """The open step fails with the exception, which goes on to the user unchanged."""
        self.interrupted = is_interruption(exception)
        if isinstance(exception, UnknownMetricError) and exception.metric == self._task.monitor:
            self._trial.refused_monitor = exception.available
        super().on_exception(trainer, pl_module, exception)

    def trained_elsewhere(self) -> None:
        """Processes that ``fit`` has started have trained, and are gone."""
        self._trial.trained = True
        reason = self.state["stop_reason"] or ""
        self._trial.came_to_its_end |= reason.startswith(("max_epochs=", "max_steps="))

    @property
    def _task(self) -> TrialTask:
        return self._trial.task

    @property
    def waits_for(self) -> str | None:
        """What its run asks a human, ``None`` where it does not wait."""
        pause = self._fitting.driver.asking.paused
        return None if pause is None else repr(pause.question.action)

    def _is_at_its_limit(self, trainer: Trainer) -> bool:
        """Whether what ended it is a limit that was given: what stops it early may come before it logs."""
        epochs, steps = self.state["epoch"] + 1, self.state["global_step"]
        return epochs > 0 and limits.reached_limit(trainer, epochs, steps, asked_by_us=True) is not None

    def _refuse_a_second_run(self) -> None:
        """A ``fit`` that would train nothing, since another one has ended the trial's run before."""
        run = self._fitting
        if not (self._trial.trained and run.standing.finished):
            return
        run.driver.close()
        run.close()  # as it is: it has ended well
        raise TrainerError(
            f"trainer.fit(...) with trial.callback(): trial {self._trial.number} has trained its run "
            f"{self._trial.run_id!r} to the end, and a trial has one run; this fit would train nothing. For "
            f"one value of several trainings, as those of a cross-validation, give each but one a "
            f'BurrCallback(run_id=f"{{trial.run_id}}-fold1", ...) of its own, and return the mean.'
        )

    def _settings(self) -> RunSettings:
        spawned = {"run_id": self._task.study_id, "sequence_id": self._task.sequence_id}
        return replace(super()._settings(), spawned_by=spawned)


def trial_callback(trial: Trial, options: Mapping[str, Any]) -> TrialCallback:
    """The callback of a trial.

    Args:
        trial: The trial.
        options: Arguments of `BurrCallback` that are not the study's.

    Raises:
        ArgumentError: If its machine would leave ``fit`` to wait for a human.
    """
    task = trial.task
    given: dict[str, Any] = {"monitor": task.monitor, "tracker": task.tracker, **options}
    if task.monitor is not None and given["monitor"] == task.monitor:
        given.setdefault("mode", task.directions[0])
    callback = TrialCallback(
        trial, run_id=task.run_id, project=task.project, persister=task.persister, root_dir=task.root, **given
    )
    _refuse_to_wait(callback, given.get("wait", "exit"))
    if task.monitor is not None:
        scores = Scores(task.scores)
        callback._hooks = [*callback._hooks, reports_to(scores, task)]
        if task.pruner is not None:
            callback.machine = with_pruning(callback.machine, prunes(task, scores))
    return callback


def _refuse_to_wait(callback: BurrCallback, wait: Any) -> None:
    asks = [action.name for action in callback.machine.actions if waits(callback.machine, action.name)]
    if asks and wait == "exit":
        raise ArgumentError(
            f"trial.callback(...): its machine asks a human in {', '.join(map(repr, asks))}, and leaves fit "
            f"until there is an answer; a trial that waits has no value. Leave out review_when and such "
            f"actions, or give wait=Block(timeout=..., default=...), which goes on by itself."
        )
