"""One process at a time owns a run: a lock that the system frees when its holder dies."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from weakref import WeakSet

from .errors import RunLockedError

_PATIENCE = 1.0
"""Seconds: long enough to outwait somebody who only looks at the lock."""


class RunLock:
    """The lock of one run.

    Args:
        path: The lock's file; it is made when needed, and stays.
        run_id: The run, for the error.
    """

    def __init__(self, path: Path, run_id: str) -> None:
        self._path, self._run_id = path, run_id
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Own the run until `release`, or until this process dies.

        Raises:
            RunLockedError: If another process owns it; the error names that process.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + _PATIENCE
        while not _locked(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip()
                os.close(descriptor)
                raise RunLockedError(self._run_id, holder or "a process that did not say which")
            time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        started = time.strftime("%Y-%m-%d %H:%M:%S")
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}, since {started}".encode(), 0)
        self._descriptor = descriptor
        _HELD.add(self)

    def release(self) -> None:
        """Let another process own the run; nothing happens where the lock is not held."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        _HELD.discard(self)


_HELD: WeakSet[RunLock] = WeakSet()


def _leave_to_the_parent() -> None:
    """A forked process, a data loader's worker say, shares the lock: it must not outlive its holder."""
    for lock in list(_HELD):
        lock._close()


os.register_at_fork(after_in_child=_leave_to_the_parent)


def is_held(path: Path) -> bool:
    """Whether a living process owns the run whose lock this is."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _locked(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
