"""Writing the files of a commit from a snapshot, while training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .snapshot import Snapshot
from .writing import Digests, Then, written


class BackgroundWriter:
    """Writes files from a copy in memory, in a thread of its own; wait for one before the next."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")

    def __call__(self, contents: Mapping[Path, Any], then: Then) -> Future[Digests]:
        """Copy the contents, and have the copy written, and then the rest done."""
        return self._thread.submit(written, self._snapshot.take(dict(contents)), then)
