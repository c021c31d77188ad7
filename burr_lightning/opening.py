"""Opening a run: owning it, its stores and its tracker, until it is let go."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from burr.lifecycle.base import LifecycleAdapter
from lightning.pytorch import LightningModule, Trainer

from .burr_access import build_application, local_tracker
from .commits import Committer, FollowingCommitter, StoredCommits
from .commits.run_files import RunFiles
from .driver import Driver
from .errors import BurrLightningError, LostRowsError, RunLockedError
from .hooks import TrainerHook
from .known_runs import readable_info
from .launch import launch
from .layout import DATABASE, JOB_VARIABLE, Outcome, RunFolder, RunInfo
from .lightning_limits import limits_of
from .locks import RunLock, is_held
from .persisters import PersisterUrl, Place, RetryingPersister, connected, written_down
from .ranks import Ranks
from .rows import StateRows
from .runs.family import parent_info
from .settings import RunSettings
from .standing import Standing, standing_of
from .state import parent_of
from .tracked import (
    forget_undone,
    keeps_on,
    own,
    owner_of,
    place_of,
    set_aside,
    spawned_again,
    taken_by,
    tracker_folder,
)

log = logging.getLogger(__name__)

_Written = TypeVar("_Written")


class OpenRun:
    """A run that this process owns.

    Args:
        settings: What the user configured.
        trainer: The trainer that will run it.
        module: The module in training.
        ranks: The processes that train it; the first of them owns the run.

    Raises:
        RunLockedError: If another process owns the run.
        ResumeError: If it cannot go on.
        PersisterError: If its rows cannot be read.
    """

    def __init__(
        self, settings: RunSettings, trainer: Trainer, module: LightningModule, ranks: Ranks
    ) -> None:
        self.settings, self.module, self._ranks = settings, module, ranks
        self.folder: RunFolder | None = None
        self._lock: RunLock | None = None
        self._persister: RetryingPersister | None = None
        self._closed = False
        self.set_aside: Path | None = None
        self._committer: Committer | FollowingCommitter | None = None
        self._tracks: LifecycleAdapter | None = None
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.folder = RunFolder(self.settings.root, self.settings.project, self.settings.run_id)
        ranks.agreed(self._lock_it)
        try:
            self.standing = ranks.agreed(lambda: self._see(trainer))
            if self.folder is not None and not ranks.leads:
                self._committer = FollowingCommitter(self.folder, self.settings.checkpoints)
            self.driver = ranks.together(lambda: self._driver(trainer))
        except BaseException:
            self.close()
            raise

    def _lock_it(self) -> None:
        """Be the one process that owns the run."""
        if self.folder is not None:
            self.folder.create()
            self._lock = RunLock(self.folder.lock, self.settings.run_id)
            self._lock.acquire()

    def _see(self, trainer: Trainer) -> Standing:
        """See where the run stands, and open its stores."""
        settings, rows, files = self.settings, None, None
        if self.folder is not None:
            self.folder.create()  # it may have been deleted while this process waited for the lock
            rows = self._rows()
            files = RunFiles.of_training(self.folder, rows, settings.checkpoints)
            self._refuse_lost_rows(files, rows)
            self._tracks = self._tracker()
        stored = StoredCommits(files, rows) if rows is not None and files is not None else None
        self.standing = standing = standing_of(settings, stored, trainer, self.module, self._ranks.size)
        if self.folder is not None and rows is not None and files is not None:
            self._write_info(files, self._tracks, limits_of(trainer))
            self._committer = Committer(files, rows, settings.checkpoints, standing.sequence_id)
            if standing.checkpoint is not None and not standing.skipped:
                self._committer.prune(standing.state)
            files.put_missing(standing.checkpoint)
        return standing

    def _rows(self) -> StateRows:
        settings = self.settings
        place: Place = settings.persister or PersisterUrl.of_file(settings.root / DATABASE)
        self._persister = connected(place, settings.run_id)
        return StateRows(self._persister, settings.project, settings.run_id)

    def _refuse_lost_rows(self, files: RunFiles, rows: StateRows) -> None:
        """A run must not go on, nor a new one begin, where newer rows than those found here are elsewhere."""
        folder, found = files.folder, rows.newest_sequence_id()
        newest = -1 if found is None else found
        names = files.checkpoints()
        later = {name.commit: name.epoch for name in names if name.commit > newest and name.batch is None}
        # A process that was killed between a checkpoint and its row leaves one of which no row knows.
        if len(later) > 1 or (found is None and any(later.values())):
            known = folder.info()
            trained_with = known.persister if known else None
            epoch, store = max(later.values()), str(self._persister)
            where = str(folder.path) if files.remote is None else f"{folder.path} or {files.remote}"
            raise LostRowsError(folder.run_id, where, epoch, store, trained_with)
        if found is not None:
            files.bring_info()

    def _tracker(self) -> LifecycleAdapter | None:
        tracker = self.settings.tracker
        if isinstance(tracker, bool):
            return local_tracker(self.settings.project) if tracker else None
        return tracker

    def _write_info(self, files: RunFiles, tracker: LifecycleAdapter | None, limits: dict[str, Any]) -> None:
        folder = files.folder
        known = folder.info()
        spawned_by = self.settings.spawned_by
        tracked = tracker_folder(tracker, self.settings.run_id)
        if tracked is not None:
            self._own_tracked(tracked, folder, known)
        folder.write_info(
            RunInfo(
                self.settings.run_id,
                self.settings.project,
                self.settings.monitor,
                str(tracked) if tracked else (known.tracker if known else None),
                known.created if known else time.time(),
                written_down(self.settings.persister) if self.settings.persister else None,
                None if spawned_by else (known.launch if known else None) or launch(),
                os.environ.get(JOB_VARIABLE) or (known.job if known else None),
                known.parent if known else parent_of(self.standing.state),
                limits,
                spawned_by["run_id"] if spawned_by else None,
                files.remote.url if files.remote else (known.copied_to if known else None),
            )
        )
        files.put_info()
        if not self.standing.finished:
            folder.clear_outcome()

    def _own_tracked(self, tracked: Path, folder: RunFolder, known: RunInfo | None) -> None:
        """Go on in what the tracker has of this run; what it has of another of the name is set aside."""
        newest = self.standing.sequence_id
        is_new = known is None and newest is None
        if is_new or not keeps_on(tracked, folder, known):
            kept = place_of(folder, known)
            self.set_aside = self._set_aside(tracked)
            beside = kept is not None and kept != tracked and kept.parent == tracked.parent
            if kept is not None and beside and not tracked.exists():
                kept.rename(tracked)  # a run of another root had it set aside
        _writing_tracker(lambda: own(tracked, folder.root))
        forget_undone(tracked, -1 if newest is None else newest)
        if (spawned_by := self.settings.spawned_by) is not None:
            _writing_tracker(lambda: spawned_again(tracked, spawned_by))

    def _set_aside(self, tracked: Path) -> Path | None:
        """Keep another run of the same name apart, unless it is being trained right now."""
        owner = owner_of(tracked)
        if owner is not None:
            other = RunFolder(owner, self.settings.project, self.settings.run_id)
            if owner != self.settings.root and is_held(other.lock):
                raise RunLockedError(self.settings.run_id, f"another process, from {owner}")
        return set_aside(tracked)

    def _driver(self, trainer: Trainer) -> Driver:
        settings, standing, tracker = self.settings, self.standing, self._tracks
        for hook in settings.hooks:
            if isinstance(hook, TrainerHook):
                hook.bind(trainer, settings.project, settings.run_id)
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
                self._tracked_parent(tracker),
                settings.spawned_by,
            )
        )
        folder = self.folder if self._ranks.leads else None
        return Driver(trainer, self.module, app, self._committer, folder, settings, self._ranks)

    def _tracked_parent(self, tracker: LifecycleAdapter | None) -> dict[str, Any] | None:
        """The run that this one was forked from, unless a local tracker does not know it.

        Burr's client would make a folder for it, and Burr's page list a run in which there is nothing.
        """
        parent = parent_of(self.standing.state)
        tracked = tracker_folder(tracker, parent["run_id"]) if parent is not None else None
        if parent is None or tracked is None:
            return parent
        folder = RunFolder(self.settings.root, self.settings.project, parent["run_id"])
        info = self.folder.info() if self.folder is not None else None
        is_known = tracked.exists() and taken_by(tracked, folder) is None
        if is_known and self.folder is not None and info is not None and readable_info(folder) is not None:
            is_known = parent_info(self.folder, info) is not None  # and no later run of its name
        return parent if is_known else None

    def stays_paused(self) -> bool:
        """Whether it waits for an answer since an earlier process, and this one is not to wait for it."""
        return not self.standing.finished and self.driver.asking.stays_paused(self.standing.position)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that decides, and that speaks for all of them."""
        return self._ranks.leads

    @property
    def is_open(self) -> bool:
        """Whether the run has not ended yet."""
        return not self._closed

    def ended(self, outcome: Outcome) -> None:
        """Write how the run ended, and let it go."""
        if self.folder is not None and self._lock is not None:
            try:
                self.folder.write_outcome(outcome)
            except OSError as error:
                log.warning("How run %r ended could not be written: %s", self.settings.run_id, error)
        self.close()

    def close(self) -> None:
        """Let another process own the run."""
        self._closed = True
        for hook in self.settings.hooks:
            if isinstance(hook, TrainerHook):
                hook.unbind(self.settings.project, self.settings.run_id)
        if isinstance(self._committer, Committer):
            self._committer.close()
        if self._persister is not None:
            self._persister.cleanup()
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self._ranks.close()


def _writing_tracker(write: Callable[[], _Written]) -> _Written:
    try:
        return write()
    except OSError as error:
        raise BurrLightningError(
            f"Burr's tracker cannot write ({error}). Give BurrCallback(tracker=...) a "
            f"LocalTrackingClient with a storage_dir that can be written, or tracker=False."
        ) from error
