"""Opening a run: owning it, its stores and its tracker, until it is let go."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from burr.lifecycle.base import LifecycleAdapter
from lightning.pytorch import LightningModule, Trainer

from .burr_access import build_application, local_tracker
from .commits import Committer, StoredCommits
from .driver import Driver
from .errors import BurrLightningError, RunLockedError
from .layout import Outcome, RunFolder, RunInfo, default_persister
from .locks import RunLock, is_held
from .rows import StateRows
from .settings import RunSettings
from .standing import standing_of
from .tracked import forget_undone, own, owner_of, set_aside, tracker_folder

_Written = TypeVar("_Written")


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
        rows: StateRows | None = None
        tracker: LifecycleAdapter | None = None
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.folder = RunFolder(settings.root, settings.project, settings.run_id)
            self.folder.create()
            self._lock = RunLock(self.folder.lock, settings.run_id)
            self._lock.acquire()
        try:
            if self.folder is not None:
                rows = self._rows()
                tracker = self._tracker()
            stored = StoredCommits(self.folder, rows) if self.folder and rows else None
            self.standing = standing_of(settings, stored, trainer, module)
            if self.folder is not None:
                self._write_info(self.folder, tracker)
            committer = None
            if self.folder is not None and rows is not None:
                newest = self.standing.sequence_id
                committer = Committer(self.folder, rows, settings.checkpoints, newest)
            self.driver = self._driver(trainer, module, committer, tracker)
        except BaseException:
            self.close()
            raise

    def _rows(self) -> StateRows:
        persister = self.settings.persister
        if persister is None:
            persister = self._own_persister = default_persister(self.settings.root)
        return StateRows(persister, self.settings.project, self.settings.run_id)

    def _tracker(self) -> LifecycleAdapter | None:
        tracker = self.settings.tracker
        if isinstance(tracker, bool):
            return local_tracker(self.settings.project) if tracker else None
        return tracker

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
        committer: Committer | None,
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
        return Driver(trainer, module, app, committer)

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
