"""One process at a time starts a job: a lease that the system frees when its holder dies.

The lease is a lock on an open file. A worker takes it and hands the open file to the process that looks after
the command, so it is held without a gap from the decision to the end, however the worker fares.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from ..locks import is_held

_PATIENCE = 0.5
"""Seconds for a process that holds the lease, and may be about to let it go."""

_PATIENCE_WITH_LOOKS = 60.0
"""Seconds for those that only look whether it is held: one of them may have been stopped while it looked."""


class Lease:
    """A lease that this process holds; as a context manager it ends with the ``with`` block.

    Args:
        descriptor: The open file that the lock is on.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def let_go(self) -> None:
        """Close the file here: the lease ends, unless another process has it open."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()


def taken(path: Path) -> Lease | None:
    """The lease whose file this is; ``None`` where another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    begun = time.monotonic()
    while not _locked(descriptor):
        waited = time.monotonic() - begun
        if waited > _PATIENCE_WITH_LOOKS or (waited > _PATIENCE and is_held(path)):
            os.close(descriptor)
            return None
        time.sleep(0.01)
    say_who(descriptor)
    return Lease(descriptor)


def say_who(descriptor: int) -> None:
    """Write into a lease's file which process holds it, for people."""
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}, since {started}".encode(), 0)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
