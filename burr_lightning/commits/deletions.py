"""Deleting at a URL in a thread of its own, so that training does not wait for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ..errors import CopyError
from .remote import RemoteFiles

log = logging.getLogger(__name__)


class Deletions:
    """What is to be deleted at a URL, one file after another.

    Args:
        remote: Where.
        failed: Told of each file that could not be deleted, in that thread.
    """

    def __init__(self, remote: RemoteFiles, failed: Callable[[str], object]) -> None:
        self._remote, self._failed = remote, failed
        self._names: dict[str, None] = {}
        """In the order in which they go; the one that is being deleted is the first."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._told = False

    def add(self, name: str) -> None:
        """Have a file deleted, relative to the run's folder there."""
        with self._changed:
            self._names[name] = None
            if self._thread is None:
                # A daemon: a store that hangs must not keep the process.
                self._thread = threading.Thread(target=self._work, name="deletions", daemon=True)
                self._thread.start()

    def wait_for(self, name: str) -> None:
        """Wait until a file is not about to be deleted, before one of the same name is written."""
        with self._changed:
            self._changed.wait_for(lambda: name not in self._names)

    def close(self, seconds: float) -> None:
        """Wait for what is being deleted, for so long at most; what is left stays, and is told."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._names, seconds):
                log.warning(
                    "At %s, %d files that are not needed any more were not deleted in %g s and may stay: %s",
                    *(self._remote, len(self._names), seconds, ", ".join(self._names)),
                )
                # Whoever owns the run next may write a file of such a name.
                for name in [*self._names][1:]:
                    del self._names[name]

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._names:
                    self._thread = None
                    return
                name = next(iter(self._names))
            try:
                self._remote.remove(name)
            except CopyError as error:
                self._tell(name, error)
            finally:
                with self._changed:
                    del self._names[name]
                    self._changed.notify_all()

    def _tell(self, name: str, error: CopyError) -> None:
        self._failed(name)
        if not self._told:
            self._told = True
            log.warning(
                "%s is not needed any more, and could not be deleted at %s (%s). It stays until the next "
                "one goes, with which it is tried again, and is not told again.",
                *(name, self._remote, error.error),
            )
