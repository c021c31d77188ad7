"""Inside the process that trains an epoch again: the run's copy in place of the run, and an end after it."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from burr.core import State
from burr.lifecycle.base import LifecycleAdapter, PreRunStepHook
from burr.tracking.base import SyncTrackingClient
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, Timer
from lightning.pytorch.loggers.logger import DummyLogger

from ..commits import Checkpoints
from ..errors import ReplayError
from ..settings import RunSettings
from .task import ReplayFolder, ReplayReport, inside

_ALL = 1_000_000_000


class ReplayEnd(SystemExit):
    """Ends the process when the epoch is committed: Lightning tears down, and the script ends."""

    def __init__(self) -> None:
        super().__init__(0)


class _EndAfter(PreRunStepHook):
    """Ends the process before the first step after an epoch's commit, whatever that step would be."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def pre_run_step(self, *, state: State[Any], **future_kwargs: Any) -> None:
        """Called by Burr before every step."""
        if state["epoch"] >= self._epoch:
            raise ReplayEnd


def replayed(settings: RunSettings, trainer: Trainer, ours: type[Checkpoint]) -> RunSettings:
    """A run's settings: as they are, or, in a replay of the run, those of its copy.

    The run itself, its rows, its checkpoints and its tracker stay as they are. Checkpoint callbacks
    other than ours are taken out of the trainer: they would delete what they have written for the run.

    Args:
        settings: What the user configured.
        trainer: The trainer that is about to run it.
        ours: The callback that asks.

    Raises:
        ReplayError: If this process replays another run.
    """
    folder = ReplayFolder.from_environment()
    if folder is None:
        return settings
    task = folder.task()
    if trainer.world_size > 1:
        raise ReplayError(
            f"Epoch {task.epoch} of run {task.run_id!r} is to be trained again. That is done in one process, "
            f"and Trainer(devices=..., num_nodes=...) asks for {trainer.world_size}."
        )
    left_out = _leave_out_checkpoint_callbacks(trainer, ours)
    timers = [_state_of(callback) for callback in _callbacks(trainer) if isinstance(callback, Timer)]
    ignored = [*left_out, *(inside(timer, "time_elapsed") for timer in timers)]
    folder.write_report(ReplayReport(settings.run_id, settings.project, tuple(ignored)))
    if (settings.run_id, settings.project) != (task.run_id, task.project):
        raise ReplayError(
            f"Epoch {task.epoch} of run {task.run_id!r} of project {task.project!r} is to be trained "
            f"again, and this script fits run {settings.run_id!r} of project {settings.project!r}."
        )
    return replace(
        settings,
        root=folder.path,
        checkpoints=Checkpoints(keep_last=_ALL, keep_best=0),
        hooks=(*_without_trackers(settings), _EndAfter(task.epoch)),
        persister=None,
        tracker=False,
        wait="exit",
        on_pause=None,
    )


def _callbacks(trainer: Trainer) -> list[Any]:
    return trainer.callbacks  # type: ignore[attr-defined,no-any-return]


def _state_of(callback: Callback) -> str:
    return inside("callbacks", callback.state_key)


def _leave_out_checkpoint_callbacks(trainer: Trainer, ours: type[Checkpoint]) -> list[str]:
    kept: list[Any] = []
    left_out: list[str] = []
    for callback in _callbacks(trainer):
        if isinstance(callback, Checkpoint) and not isinstance(callback, ours):
            left_out.append(_state_of(callback))
        else:
            kept.append(callback)
    trainer.callbacks = kept  # type: ignore[attr-defined]
    return left_out


def _without_trackers(settings: RunSettings) -> list[LifecycleAdapter]:
    return [hook for hook in settings.hooks if not isinstance(hook, SyncTrackingClient)]


def leave_out_loggers(ours: type[Checkpoint]) -> None:
    """In a replay, have a trainer with our callback log nowhere: its loggers would write into the run's logs.

    Lightning opens them, which empties a log of ``CSVLogger`` that is there, before it calls a callback.
    """
    if ReplayFolder.from_environment() is None:
        return
    fit = Trainer.fit

    @functools.wraps(fit)
    def fit_without_loggers(trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.loggers and any(isinstance(callback, ours) for callback in _callbacks(trainer)):
            trainer.loggers = [DummyLogger()]
        fit(trainer, *args, **kwargs)

    Trainer.fit = fit_without_loggers  # type: ignore[assignment, method-assign]
