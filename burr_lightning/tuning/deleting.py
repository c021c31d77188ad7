"""Deleting a study: the runs of its trials, then its rows, its tracker's folder, and its own folder.

First the file that makes it a study is renamed: from then on it is not listed, and nothing goes on with it.
Its rows, which say what its trials are, go after all trials, so that the same command finds what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..errors import (
    BurrLightningError,
    NotDeletedError,
    RowsNotDeletedError,
    RunLockedError,
    StorageError,
    StudyNotDeletedError,
)
from ..layout import RunFolder, flush
from ..locks import RunLock
from ..persisters.deleting import delete_rows
from ..storage.deleting import delete as delete_run
from ..storage.doomed import Doomed
from ..storage.removing import remove_folder
from ..tracked import OWNER
from .doomed import DoomedStudy
from .in_use import is_run, refuse_trials
from .store import StudyFolder


def delete_study(study: DoomedStudy, gone: Callable[[Doomed], object] = lambda run: None) -> None:
    """Delete a study, or the rest of one.

    Args:
        study: What goes with it.
        gone: Told of each trial's run that is deleted.

    Raises:
        StudyNotDeletedError: If somebody needs it by now.
        RowsNotDeletedError: If rows cannot be deleted; the rest stays.
        StorageError: If a file cannot be deleted; the same call goes on with the rest.
    """
    folder = study.folder
    try:
        with _owned(folder):
            _delete_runs(study, gone)
            _delete_rows(study)
            for tracker in study.trackers:
                remove_folder(tracker, last=[tracker / OWNER])
            remove_folder(folder.path, last=[folder.lock, folder.half_deleted])
    except RunLockedError as error:
        raise is_run(folder, error.holder) from error
    except BurrLightningError:
        raise
    except OSError as error:
        if folder.path.exists():
            raise StorageError(folder.study_id, error, one="Study") from error


@contextmanager
def _owned(folder: StudyFolder) -> Iterator[None]:
    """Nobody else has the study, and it is listed no more."""
    lock = RunLock(folder.lock, folder.study_id, quiet=True)
    lock.acquire()
    try:
        refuse_trials(folder)
        if folder.marker.exists():
            folder.begin_to_delete()
            flush(folder.path)
        yield
    finally:
        lock.release()


def _delete_runs(study: DoomedStudy, gone: Callable[[Doomed], object]) -> None:
    is_whole, released = not study.begun, []
    try:
        for kept in study.keeps:
            _release(study.folder, kept)
            released.append(kept)
        for trial in study.trials:
            delete_run(trial)
            is_whole = False
            gone(trial)
    except BurrLightningError as error:
        if is_whole and not any(trial.folder.half_deleted.exists() for trial in study.trials):
            for kept in released:
                _take_back(study.folder, kept)
            study.folder.do_not_delete()  # nothing was, so that it can be gone on with
        if isinstance(error, NotDeletedError) and not isinstance(error, StudyNotDeletedError):
            why = f"its run {error.run_id!r}: {error.why}"
            raise StudyNotDeletedError(study.folder.study_id, why) from error
        raise


def _release(study: StudyFolder, run: RunFolder) -> None:
    """Have a run be no trial's any more: the same command finds it as such when it is given again."""
    try:
        with RunLock(run.lock, run.run_id, quiet=True):
            info = run.info()
            if info is not None and info.study is not None:
                run.write_info(replace(info, study=None))
                flush(run.path)
    except RunLockedError as error:
        why = f"its run {run.run_id!r} is being trained by {error.holder}. Wait for it, or stop it."
        raise StudyNotDeletedError(study.study_id, why) from error
    except OSError as error:
        if isinstance(error, BurrLightningError):
            raise
        raise StorageError(run.run_id, error) from error


def _take_back(study: StudyFolder, run: RunFolder) -> None:
    """Have a run be its study's trial again."""
    info = run.info()
    if info is not None:
        run.write_info(replace(info, study=study.study_id))


def _delete_rows(study: DoomedStudy) -> None:
    if study.store is None or not study.rows:
        return
    try:
        delete_rows(study.store, study.folder.project, study.folder.study_id)
    except RowsNotDeletedError as error:
        if not study.begun and not study.trials:
            study.folder.do_not_delete()
        raise RowsNotDeletedError(error.run_id, error.store, error.why, error.rule, one="Study") from error
