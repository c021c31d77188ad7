"""Writing checkpoints, at once or from a snapshot while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from .files import save_tensors, write_durably
from .snapshot import Snapshot

Digests = dict[Path, str]
"""The SHA-256 of each file that was written."""


def write_now(contents: Mapping[Path, Any]) -> Future[Digests]:
    """Write files, and return when they are whole on the disk.

    Args:
        contents: What to write, by where.

    Returns:
        A future that has its result, so that both ways of writing look alike.

    Raises:
        OSError: If a file could not be written.
    """
    written: Future[Digests] = Future()
    written.set_result(_write(contents))
    return written


class BackgroundWriter:
    """Writes files from a copy in memory, in a thread of its own; wait for one before the next."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")

    def __call__(self, contents: Mapping[Path, Any]) -> Future[Digests]:
        """Copy the contents, and have the copy written."""
        return self._thread.submit(_write, self._snapshot.take(dict(contents)))


Write = Callable[[Mapping[Path, Any]], "Future[Digests]"]


def _write(contents: Mapping[Path, Any]) -> Digests:
    return {path: write_durably(path, partial(save_tensors, content)) for path, content in contents.items()}
