"""Opening a run: who owns it, where it stands, and from which commit it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from burr.core import State
from burr.core.graph import Graph
from burr.core.persistence import BaseStatePersister
from burr.lifecycle.base import LifecycleAdapter, PostRunStepHook
from lightning.pytorch import LightningModule, Trainer

from . import lightning_access as access
from .burr_access import build_application, local_tracker
from .commits import Checkpoints, Committer
from .driver import Driver
from .errors import ArgumentError, BurrLightningError, ResumeError, RunLockedError
from .layout import Outcome, RunFolder, RunInfo, default_persister
from .locks import RunLock, is_held
from .machines import follow, is_phase, is_terminal
from .metric import Mode
from .rows import StateRows
from .state import best_of, initial_state, short
from .tracked import forget_undone, own, owner_of, set_aside, tracker_folder

_Written = TypeVar("_Written")


@dataclass(frozen=True)
class RunSettings:
    """What the user configured of a run."""

    run_id: str
    project: str
    root: Path
    machine: Graph
    monitor: str | None
    mode: Mode | None
    checkpoints: Checkpoints
    hooks: Sequence[LifecycleAdapter]
    persister: BaseStatePersister | None
    tracker: bool | LifecycleAdapter

    def __post_init__(self) -> None:
        if not isinstance(self.checkpoints, Checkpoints):
            self._refuse("checkpoints", "Checkpoints(keep_last=..., keep_best=...)")
        if self.persister is not None and not isinstance(self.persister, BaseStatePersister):
            self._refuse("persister", "a synchronous Burr persister, as SQLitePersister(path)")
        if not isinstance(self.tracker, (bool, PostRunStepHook)):
            self._refuse("tracker", "True, False, or a tracking client of Burr's")
        if self.root.exists() and not self.root.is_dir():
            raise ArgumentError(f"BurrCallback(root_dir='{self.root}'): this is a file, not a folder.")

    def _refuse(self, argument: str, rule: str) -> None:
        given = getattr(self, argument)
        raise ArgumentError(f"BurrCallback({argument}={given!r}): it must be {rule}.")


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


class OpenRun:
    """A run that this process owns.

    Args:
        settings: What the user configured.
        trainer: The trainer that will run it.
        module: The module in training.

    Raises:
        RunLockedError: If another process owns the run.
        ResumeError: If it cannot go on.
    """

    def __init__(self, settings: RunSettings, trainer: Trainer, module: LightningModule) -> None:
        self.settings = settings
        self.folder: RunFolder | None = None
        self._lock: RunLock | None = None
        self._own_persister: Any = None
        self._closed = False
        self.set_aside: Path | None = None
        commits: Committer | None = None
        tracker: LifecycleAdapter | None = None
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.folder = RunFolder(settings.root, settings.project, settings.run_id)
            self.folder.create()
            self._lock = RunLock(self.folder.lock, settings.run_id)
            self._lock.acquire()
        try:
            if self.folder is not None:
                commits = self._committer(self.folder)
                tracker = self._tracker()
            self.standing = self._standing(commits, trainer, module)
            if self.folder is not None:
                self._write_info(self.folder, tracker)
            self.driver = self._driver(trainer, module, commits, tracker)
        except BaseException:
            self.close()
            raise

    def _committer(self, folder: RunFolder) -> Committer:
        persister = self.settings.persister
        if persister is None:
            persister = self._own_persister = default_persister(self.settings.root)
        rows = StateRows(persister, self.settings.project, self.settings.run_id)
        return Committer(folder, rows, self.settings.checkpoints)

    def _tracker(self) -> LifecycleAdapter | None:
        tracker = self.settings.tracker
        if isinstance(tracker, bool):
            return local_tracker(self.settings.project) if tracker else None
        return tracker

    def _standing(self, commits: Committer | None, trainer: Trainer, module: LightningModule) -> Standing:
        hparams = dict(getattr(module, "hparams", {}))
        point = commits.resume_point() if commits else None
        if commits is None or point is None or point.row is None:
            state: State[Any] = State(initial_state(hparams, self.settings.monitor, self.settings.mode))
            newest, skipped = (point.newest_sequence_id, point.skipped) if point else (None, ())
            return Standing(state, None, newest, None, False, skipped)
        graph, row = self.settings.machine, point.row
        names = [action.name for action in graph.actions]
        if row.position not in names:
            raise ResumeError(
                f"Run {self.settings.run_id!r} stopped after the action {row.position!r}, and the machine "
                f"has none of that name (it has {', '.join(names)}). Give it the machine that it was "
                f"started with, or start a new run with another run_id."
            )
        commits.go_on_from(row)
        finished = is_terminal(graph, row.position)
        if not finished:
            state, position = self._as_configured_now(row.state, commits, trainer, hparams), row.position
        elif again := self._continued(commits, row.state["checkpoint"], trainer, hparams):
            (state, position), finished = again, False
        else:
            state, position = row.state, row.position
        return Standing(state, position, point.newest_sequence_id, point.checkpoint, finished, point.skipped)

    def _continued(
        self, commits: Committer, checkpoint: dict[str, Any], trainer: Trainer, hparams: dict[str, Any]
    ) -> tuple[State[Any], str] | None:
        """Where a finished run goes on, if what ended it no longer holds."""
        for row in commits.rows_of(checkpoint):
            state = self._as_configured_now(row.state, commits, trainer, hparams)
            following, _ = follow(self.settings.machine, row.position, state)
            if is_phase(self.settings.machine, following):
                return state, row.position
        return None

    def _as_configured_now(
        self, state: State[Any], commits: Committer, trainer: Trainer, hparams: dict[str, Any]
    ) -> State[Any]:
        """A stored state under the limits, the monitored metric and the hyperparameters of today."""
        metric, mode = self.settings.monitor, self.settings.mode
        monitor = {"metric": metric, "mode": mode} if metric else None
        if monitor != state["monitor"]:
            best = best_of(state["history"], monitor)
            if best is not None:
                best["checkpoint"] = commits.checkpoint_of(best["epoch"])
            state = state.update(monitor=monitor, best=best)
        state = state.update(hparams=short(hparams))
        epochs, steps = state["epoch"] + 1, state["global_step"]
        if epochs == 0:
            return state
        limit = access.reached_limit(trainer, epochs, steps)
        if state["finished"] and access.stays_stopped(trainer, state["stop_reason"]):
            limit = state["stop_reason"]
        return state.update(
            finished=limit is not None,
            stop_reason=limit or (None if state["finished"] else state["stop_reason"]),
            can_stop=access.can_stop(trainer, epochs, steps),
        )

    def _write_info(self, folder: RunFolder, tracker: LifecycleAdapter | None) -> None:
        known = folder.info()
        tracked = tracker_folder(tracker, self.settings.run_id)
        if tracked is not None and owner_of(tracked) == folder.root and known is not None:
            newest = self.standing.sequence_id
            forget_undone(tracked, -1 if newest is None else newest)
        elif tracked is not None:
            self.set_aside = self._set_aside(tracked)
            _writing_tracker(lambda: own(tracked, folder.root))
        folder.write_info(
            RunInfo(
                self.settings.run_id,
                self.settings.project,
                self.settings.monitor,
                str(tracked) if tracked else (known.tracker if known else None),
                known.created if known else time.time(),
                type(self.settings.persister).__name__ if self.settings.persister else None,
            )
        )
        if not self.standing.finished:
            folder.clear_outcome()

    def _set_aside(self, tracked: Path) -> Path | None:
        """Keep another run of the same name apart, unless it is being trained right now."""
        owner = owner_of(tracked)
        if owner is not None:
            other = RunFolder(owner, self.settings.project, self.settings.run_id)
            if owner != self.settings.root and is_held(other.lock):
                raise RunLockedError(self.settings.run_id, f"another process, from {owner}")
        return set_aside(tracked)

    def _driver(
        self,
        trainer: Trainer,
        module: LightningModule,
        commits: Committer | None,
        tracker: LifecycleAdapter | None,
    ) -> Driver:
        settings, standing = self.settings, self.standing
        app = _writing_tracker(
            lambda: build_application(
                settings.machine,
                settings.run_id,
                settings.project,
                standing.state,
                standing.position,
                standing.sequence_id,
                tracker,
                settings.hooks,
            )
        )
        return Driver(trainer, module, app, commits)

    @property
    def is_open(self) -> bool:
        """Whether the run has not ended yet."""
        return not self._closed

    def ended(self, outcome: Outcome) -> None:
        """Write how the run ended, and let it go."""
        if self.folder is not None and self._lock is not None:
            self.folder.write_outcome(outcome)
        self.close()

    def close(self) -> None:
        """Let another process own the run."""
        self._closed = True
        if self._own_persister is not None:
            self._own_persister.cleanup()
            self._own_persister = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _writing_tracker(write: Callable[[], _Written]) -> _Written:
    try:
        return write()
    except OSError as error:
        raise BurrLightningError(
            f"Burr's tracker cannot write ({error}). Give BurrCallback(tracker=...) a "
            f"LocalTrackingClient with a storage_dir that can be written, or tracker=False."
        ) from error
