"""Burr's local tracker, which also says how far an open phase is.

Burr 0.43 writes down the first item of a stream and how many there were: of an epoch that takes an hour,
whoever looks on would see nothing for an hour. And it writes the whole state and the whole result of every
step, which in a run of 5,000 epochs are there 10,000 times: what says nothing is left out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from burr.core import State
from burr.tracking import LocalTrackingClient

from .json_types import known
from .layout import read_json, write_json
from .state import PhaseReport, initial_state

log = logging.getLogger(__name__)

_FILE = "progress.json"
_SECONDS = 0.5
"""How often it is written, at most: a small file each time, whatever a batch takes."""
_OURS = frozenset(initial_state({}, None, None))
_OF_A_REPORT = frozenset(field.name for field in fields(PhaseReport))
_SAID_BY_THE_STATE = frozenset({"directions", "validation_due", "can_stop", "can_pause"})
"""What the state beside a report holds as well, the directions in its history."""


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

    def post_run_step(self, *, state: State[Any], result: dict[str, Any] | None, **rest: Any) -> None:  # type: ignore[override]
        """Burr's own note of the end of a step, without what says nothing."""
        super().post_run_step(state=telling_state(state), result=telling_result(result), **rest)

    def _write(self, folder: Path, batch: int) -> None:
        progress = PhaseProgress(self._step, *self._first, batch, time.time())
        try:
            write_json(folder / _FILE, asdict(progress))
        except OSError as error:  # it is only for those who look on: no training ends for it
            log.warning("How far the phase is cannot be written to %s: %s", folder, error)
            self._due = float("inf")


def telling_state(state: State[Any]) -> State[Any]:
    """A state without those keys of every run that hold nothing; keys of a user's own machine stay."""
    return state.subset(*(key for key, value in state.get_all().items() if key not in _OURS or _says(value)))


def telling_result(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A phase's report without what is empty or said by the state beside it; other results as they are."""
    if result is None or result.keys() != _OF_A_REPORT:
        return None if result is None else dict(result)
    told = {name: value for name, value in result.items() if name not in _SAID_BY_THE_STATE}
    return {name: value for name, value in told.items() if _says(value) or name == "first_batch"}


def _says(value: Any) -> bool:
    return value is not None and not (isinstance(value, dict) and not value)


def read_progress(folder: Path, step: int) -> PhaseProgress | None:
    """How far a step of the machine was, ``None`` where nothing says so: it is short, or not tracked so.

    Args:
        folder: Where the tracker keeps the run.
        step: The number of the step.
    """
    stored = read_json(folder / _FILE)
    found = known(PhaseProgress, stored) if stored else None
    return found if found is not None and found.step == step else None
