"""Deleting a stored run: its rows, its tracker's folder, and its own folder.

First the file that makes it a run is renamed: from then on it is not listed, and nothing goes on with it.
Whoever is killed before that leaves a whole run, and after it a rest that the same command finds by that
file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from ..commits.removing import remove_copy
from ..errors import (
    BurrLightningError,
    CopyError,
    NotDeletedError,
    RowsNotDeletedError,
    RunLockedError,
    StorageError,
)
from ..layout import RunFolder, flush
from ..locks import RunLock
from ..persisters.deleting import count_rows, delete_rows
from ..scheduling.jobs import Queue
from ..tracked import OWNER
from .doomed import Doomed
from .in_use import refuse_queued, trained
from .removing import remove_folder
from .unmarked import is_unmarked

log = logging.getLogger(__name__)


def delete(doomed: Doomed) -> None:
    """Delete a run, or the rest of one.

    Args:
        doomed: What goes with it.

    Raises:
        NotDeletedError: If somebody needs the run by now.
        RowsNotDeletedError: If its rows cannot be deleted; the rest stays.
        StorageError: If a file cannot be deleted; the same call goes on with the rest.
    """
    folder = doomed.folder
    try:
        with _owned(folder):
            _delete_rows(doomed)
            _delete_copy(doomed)
            for tracker in doomed.trackers:
                remove_folder(tracker, last=[tracker / OWNER])
            remove_folder(folder.path, last=[folder.lock, folder.half_deleted])
    except RunLockedError as error:
        if folder.half_deleted.exists():
            raise NotDeletedError(folder.run_id, "another command is deleting it. Wait for that.") from error
        raise trained(folder, error.holder) from error
    except BurrLightningError:
        raise
    except OSError as error:
        if not _is_gone(folder):
            raise StorageError(folder.run_id, error) from error


def _is_gone(folder: RunFolder) -> bool:
    """Whether another command has deleted it meanwhile, or a process begins a new run of that name."""
    is_new = folder.lock.exists() and not folder.marker.exists() and not folder.half_deleted.exists()
    return is_new or not folder.path.exists()


@contextmanager
def _owned(folder: RunFolder) -> Iterator[None]:
    """Nobody else has the run, and it is listed no more; no worker decides meanwhile to start it."""
    lock, queue = RunLock(folder.lock, folder.run_id, quiet=True), Queue(folder.root)
    try:
        with queue.alone() if queue.path.is_dir() else nullcontext():
            refuse_queued(folder)
            lock.acquire()
            if folder.marker.exists() or is_unmarked(folder):
                folder.begin_to_delete()
                flush(folder.path)
        yield
    finally:
        lock.release()


def _delete_copy(doomed: Doomed) -> None:
    url, run_id = doomed.info.copied_to, doomed.folder.run_id
    if url is None:
        return
    try:
        remove_copy(url, run_id)
    except CopyError as error:
        # It must not keep the rest: the bucket may be gone, or its key with the one who had it.
        log.warning("Run %r: its copy stays at %s (%s). Delete it there.", run_id, error.url, error.error)


def _delete_rows(doomed: Doomed) -> None:
    folder, store = doomed.folder, doomed.store
    if store is None or not (count := count_rows(store, folder.project, folder.run_id)):
        return
    try:
        delete_rows(store, folder.project, folder.run_id)
    except RowsNotDeletedError:
        if not doomed.begun and count_rows(store, folder.project, folder.run_id) == count:
            folder.do_not_delete()  # nothing was, so that it can be gone on with
        raise
