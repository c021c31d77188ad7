"""Where a run stands when it is opened, and from which commit it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from burr.core import State
from lightning.pytorch import LightningModule, Trainer

from . import lightning_limits as limits
from .commits import StoredCommits
from .errors import ResumeError
from .graphs import follow, is_terminal, leaves_training
from .hparams import of_module
from .settings import RunSettings
from .shadow import as_configured_now
from .state import best_of, initial_state, short


@dataclass(frozen=True)
class Standing:
    """Where a run stands when it is opened."""

    state: State[Any]
    position: str | None
    """The action that ran last, ``None`` where none has."""
    sequence_id: int | None
    """The newest step that has a row."""
    checkpoint: Path | None
    """What to restore before going on."""
    finished: bool
    """Whether the machine has nothing more to do."""
    skipped: tuple[str, ...] = ()
    """Newer commits that could not be used, and why."""


def standing_of(
    settings: RunSettings,
    commits: StoredCommits | None,
    trainer: Trainer,
    module: LightningModule,
    ranks: int,
) -> Standing:
    """Where a run stands, under what the user configured today.

    Args:
        settings: What the user configured.
        commits: The run's commits; ``None`` for a run that leaves nothing on disk.
        trainer: The trainer that will run it; its limits count.
        module: The module in training; its hyperparameters are taken.
        ranks: How many processes will train it.

    Raises:
        ResumeError: If the machine does not have the action that the run stopped after, or no
            checkpoint of the run can be used.
    """
    hparams = of_module(module)
    point = commits.resume_point(ranks) if commits else None
    if commits is None or point is None:
        state: State[Any] = State(initial_state(hparams, settings.monitor, settings.mode))
        shadow = as_configured_now(settings.shadow, state, partial(limits.can_stop, trainer), {})
        state = state.update(shadow=shadow, **settings.initial_state)
        return Standing(state, None, None, None, False)
    if point.row is None:
        raise ResumeError(
            f"Run {settings.run_id!r} has no commit that can be used ({'; '.join(point.skipped)}). Bring one "
            f"of these files back, or start a new run with another run_id."
        )
    graph, row = settings.machine, point.row
    _refuse_unknown(settings, row.position)
    commits.go_on_from(point)
    skipped, newest, checkpoint = point.skipped, point.newest_sequence_id, point.checkpoint
    if not is_terminal(graph, row.position):
        state = _as_configured_now(settings, commits, row.state, trainer, hparams)
        return Standing(state, row.position, newest, checkpoint, False, skipped)
    again = _continued(settings, commits, trainer, hparams)
    if again is None:
        return Standing(row.state, row.position, newest, checkpoint, True, skipped)
    return Standing(*again[:2], newest, again[2], False, skipped)


def _continued(
    settings: RunSettings, commits: StoredCommits, trainer: Trainer, hparams: dict[str, Any]
) -> tuple[State[Any], str, Path] | None:
    """Where a finished run goes on, if what ended it no longer holds.

    The action that is asked is the last one from which the training could have gone on: those after it only
    led out, and are not run again to see where they lead.
    """
    graph = settings.machine

    def trains_on(position: str) -> bool:
        _refuse_unknown(settings, position)
        return not leaves_training(graph, position)

    found = commits.newest_at(trains_on)
    if found is None:
        return None
    row, checkpoint = found
    state = _as_configured_now(settings, commits, row.state, trainer, hparams)
    following, _ = follow(graph, row.position, state)
    return None if leaves_training(graph, following) else (state, row.position, checkpoint)


def _refuse_unknown(settings: RunSettings, position: str) -> None:
    """See that the machine has the action that a commit was made after."""
    names = [action.name for action in settings.machine.actions]
    if position not in names:
        raise ResumeError(
            f"Run {settings.run_id!r} stopped after the action {position!r}, and the machine "
            f"has none of that name (it has {', '.join(names)}). Give it the machine that it was "
            f"started with, or start a new run with another run_id."
        )


def _as_configured_now(
    settings: RunSettings,
    commits: StoredCommits,
    state: State[Any],
    trainer: Trainer,
    hparams: dict[str, Any],
) -> State[Any]:
    """A stored state under the limits, the monitored metric and the hyperparameters of today."""
    metric, mode = settings.monitor, settings.mode
    monitor = {"metric": metric, "mode": mode} if metric else None
    known = state["shadow"]
    if monitor != state["monitor"]:
        known = {}  # a condition may have read its metric in the direction that was monitored
        best = best_of(state["history"], monitor)
        if best is not None:
            best["checkpoint"] = commits.checkpoint_of(best["epoch"])
        state = state.update(monitor=monitor, best=best)
    shadow = as_configured_now(settings.shadow, state, partial(limits.can_stop, trainer), known)
    changed = state["changed_hparams"] or {}
    state = state.update(hparams=short({**hparams, **changed}), shadow=shadow)
    epochs, steps = state["epoch"] + 1, state["global_step"]
    if epochs == 0:
        return state
    limit = limits.reached_limit(trainer, epochs, steps)
    if state["finished"] and limits.stays_stopped(trainer, state["stop_reason"]):
        limit = state["stop_reason"]
    return state.update(
        finished=limit is not None,
        stop_reason=limit or (None if state["finished"] else state["stop_reason"]),
        can_stop=limits.can_stop(trainer, epochs, steps),
    )
