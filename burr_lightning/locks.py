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
"""Seconds for a process that owns the run, and may be about to let it go."""

_PATIENCE_WITH_LOOKS = 60.0
"""Seconds for those that only look at the lock: one of them may have been stopped while it looked."""


class RunLock:
    """The lock of one run.

    Args:
        path: The lock's file; it is made when needed, and stays.
        run_id: The run, for the error.
        quiet: Whether the file stays as it was: it says which process has trained the run last, and the
            queue reads that.
        error: What to raise where another process has it.
    """

    def __init__(
        self, path: Path, run_id: str, *, quiet: bool = False, error: type[RunLockedError] = RunLockedError
    ) -> None:
        self._path, self._run_id, self._quiet, self._error = path, run_id, quiet, error
        self._descriptor: int | None = None
        self._made = False

    def acquire(self) -> None:
        """Own the run until `release`, or until this process dies.

        Raises:
            RunLockedError: If another process owns it; the error names that process.
        """
        begun = time.monotonic()
        while (descriptor := self._taken()) is None:
            waited = time.monotonic() - begun
            if waited > _PATIENCE_WITH_LOOKS or (waited > _PATIENCE and is_held(self._path)):
                who = holder(self._path) or "a process that did not say which"
                raise self._error(self._run_id, who)
            time.sleep(0.02)
        if not self._quiet:
            os.ftruncate(descriptor, 0)
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            who = f"process {os.getpid()} on {socket.gethostname()}, since {started}"
            os.pwrite(descriptor, who.encode(), 0)
        self._descriptor = descriptor
        _HELD.add(self)

    def release(self) -> None:
        """Let another process own the run; nothing happens where the lock is not held."""
        if self._descriptor is not None:
            if self._quiet and self._made:
                self._path.unlink(missing_ok=True)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    @property
    def held(self) -> bool:
        """Whether this process owns the run by it."""
        return self._descriptor is not None

    def __enter__(self) -> RunLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _taken(self) -> int | None:
        """The open file with the lock on it, ``None`` where another process has it."""
        self._made = not self._path.exists()
        if not self._quiet:  # a run that was deleted while this process waited begins anew
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            if self._quiet:
                raise
            return None
        if _locked(descriptor, fcntl.LOCK_EX) and _is_at(descriptor, self._path):
            return descriptor
        os.close(descriptor)
        return None

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


def holder(path: Path) -> str:
    """What the newest holder of a lock wrote about itself, empty where there was none."""
    try:
        return path.read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one of that name, and not one that was deleted meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
