"""One worker at a time has a trial: one that outlived its study is waited for."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import RunLockedError
from ..layout import RunFolder
from ..locks import RunLock, holder, is_held
from .kept import trial_file
from .trial import TrialTask

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds that a worker waits for another one of its trial, before it lets the study decide again."""
_GLANCE = 0.1


@contextmanager
def owned(task: TrialTask) -> Iterator[None]:
    """Have a trial to oneself, as soon as no other process has it or its run.

    The trial's own lock is held beyond the end of its run: what the objective does after ``fit`` is part of
    the trial, and so is its outcome.

    Args:
        task: The trial.

    Raises:
        RunLockedError: If another process still has it after a while.
    """
    deadline = time.monotonic() + PATIENCE
    path = trial_file(task.scores.parent, task.number, ".lock")
    lock = RunLock(path, task.run_id)
    try:
        _acquire(lock, deadline)
    except OSError as error:  # the run's own lock is still there
        log.warning("Trial %d: its lock could not be made: %s", task.number, error)
    try:
        _wait_for_run(task, deadline)
        yield
    finally:
        if lock.held:
            path.unlink(missing_ok=True)  # who waits for it sees that it is another file then
            lock.release()


def _acquire(lock: RunLock, deadline: float) -> None:
    while not _took(lock, deadline):
        pass  # it waits by itself


def _took(lock: RunLock, deadline: float) -> bool:
    try:
        lock.acquire()
    except RunLockedError:
        if time.monotonic() > deadline:
            raise
        return False
    return True


def _wait_for_run(task: TrialTask, deadline: float) -> None:
    path: Path = RunFolder(task.root, task.project, task.run_id).lock
    while is_held(path):
        if time.monotonic() > deadline:
            raise RunLockedError(task.run_id, holder(path) or "a process that did not say which")
        time.sleep(_GLANCE)
