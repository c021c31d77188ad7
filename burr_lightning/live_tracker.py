"""Burr's local tracker, which also says how far an open phase is.

Burr 0.43 writes down the first item of a stream and how many there were: of an epoch that takes an hour,
whoever looks on would see nothing for an hour.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from burr.tracking import LocalTrackingClient

from .layout import known, read_json, write_json

log = logging.getLogger(__name__)

_FILE = "progress.json"
_SECONDS = 0.5
"""How often it is written, at most: a small file each time, whatever a batch takes."""


@dataclass(frozen=True)
class PhaseProgress:
    """How far an open phase was when it was last written down."""

    step: int
    """The number of the machine's step."""
    first: int
    """The first batch that was an item of its stream, 0-based."""
    first_at: float
    """When it was done, in seconds since 1970."""
    batch: int
    """The newest one."""
    at: float
    """When that was done."""

    @property
    def per_second(self) -> float | None:
        """Batches per second between the two, ``None`` where they are one."""
        seconds = self.at - self.first_at
        return (self.batch - self.first) / seconds if self.batch > self.first and seconds > 0 else None


class LiveTracker(LocalTrackingClient):
    """Burr's tracker in Burr's own place, with a file beside its log that says which batch was done last.

    Args:
        project: The project that Burr's page lists the run under.
    """

    def __init__(self, project: str) -> None:
        super().__init__(project=project)
        self._step = -1
        self._first = (0, 0.0)
        self._due = 0.0

    def post_stream_item(self, *, item: Any, sequence_id: int, app_id: str, **rest: Any) -> None:
        """Burr's own note of the first item, and the place where the phase is."""
        super().post_stream_item(item=item, sequence_id=sequence_id, app_id=app_id, **rest)
        batch = item.get("batch") if isinstance(item, dict) else None
        if batch is None:
            return
        if sequence_id != self._step:
            self._step, self._first = sequence_id, (batch, time.time())
        if (now := time.monotonic()) >= self._due:
            self._due = now + _SECONDS
            self._write(Path(self.storage_dir) / app_id, batch)

    def _write(self, folder: Path, batch: int) -> None:
        progress = PhaseProgress(self._step, *self._first, batch, time.time())
        try:
            write_json(folder / _FILE, asdict(progress))
        except OSError as error:  # it is only for those who look on: no training ends for it
            log.warning("How far the phase is cannot be written to %s: %s", folder, error)
            self._due = float("inf")


def read_progress(folder: Path, step: int) -> PhaseProgress | None:
    """How far a step of the machine was, ``None`` where nothing says so: it is short, or not tracked so.

    Args:
        folder: Where the tracker keeps the run.
        step: The number of the step.
    """
    stored = read_json(folder / _FILE)
    found = known(PhaseProgress, stored) if stored else None
    return found if found is not None and found.step == step else None
