"""How long the commits of a run took, in a file of its own: what no row and no checkpoint depends on."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

log = logging.getLogger(__name__)

_FILE = "commit_times.jsonl"
_LEAST = 0.001
"""Seconds: waiting for a commit that took less was none."""


@dataclass(frozen=True)
class CommitTime:
    """A time in which a training waited for a commit."""

    step: int
    """The number of the machine's step that it was made after."""
    began: datetime
    """Local time, as Burr's tracker has it."""
    ended: datetime


class CommitTimes:
    """Measures the commits of one run.

    Args:
        folder: The run's own.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._told = False

    @contextmanager
    def measured(self, step: int | None, *, waits: bool = False) -> Iterator[None]:
        """Measure what the ``with`` block does.

        Args:
            step: The step of the machine that ran last; without one there is nothing to commit.
            waits: Whether it waits for a commit that was begun before, if there is one.
        """
        began, clock = time.time(), time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - clock
            if step is not None and (seconds >= _LEAST or not waits):
                self._write({"step": step, "began": round(began, 6), "seconds": round(seconds, 6)})

    def _write(self, entry: dict[str, float]) -> None:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                # The line break comes first: what a kill has torn is a line of its own then.
                os.write(descriptor, f"\n{json.dumps(entry)}".encode())
            finally:
                os.close(descriptor)
        except OSError as error:  # it is only for a figure: no training ends for it
            if not self._told:
                log.warning("How long commits take cannot be written to %s: %s", self._path, error)
            self._told = True


def read_commit_times(folder: Path) -> list[CommitTime]:
    """How long the commits of a run took, in order; empty where an older version made them.

    Args:
        folder: The run's own.
    """
    try:
        lines = (folder / _FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = [entry for line in lines if (entry := _parsed(line)) is not None]
    return sorted(found, key=lambda one: one.began)


def _parsed(line: str) -> CommitTime | None:
    """What a line says, ``None`` where it is torn."""
    try:
        entry = json.loads(line)
        began = datetime.fromtimestamp(entry["began"])
        return CommitTime(int(entry["step"]), began, began + timedelta(seconds=entry["seconds"]))
    except (KeyError, OSError, OverflowError, TypeError, ValueError):
        return None
