"""The newest steps of a machine, followed in the log of Burr's local tracker while it grows."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burr.tracking import LocalTrackingClient

from .steps import Step, log_entry, step_of

_TAIL = 1 << 20
"""Bytes at the end of a log that are read at first: some hundred steps."""
_MOST = 200
"""Steps that are remembered."""


@dataclass(frozen=True)
class LoggedStep:
    """A step, and what the log says of its end."""

    step: Step
    result: Mapping[str, Any]
    """What its action gave; empty while it is open."""
    state: Mapping[str, Any]
    """The state after it, in short; empty while it is open."""


class StepLog:
    """Reads on where it stopped, so that a look costs as much as was written since the one before.

    Args:
        folder: Where the tracker keeps the run, ``None`` where it is not tracked.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / LocalTrackingClient.LOG_FILENAME if folder is not None else None
        self._file: tuple[int, int] | None = None
        self._at = 0
        self._rest = b""
        self._steps: OrderedDict[int, LoggedStep] = OrderedDict()

    def steps(self) -> list[LoggedStep]:
        """The newest steps, in order."""
        self._read()
        return list(self._steps.values())

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            with open(self._path, "rb") as log:
                self._find_place(os.fstat(log.fileno()))
                log.seek(self._at)
                new = log.read()
        except FileNotFoundError:
            self._file = None
            self._steps.clear()
            return
        self._at += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._take(log_entry(line))

    def _find_place(self, status: os.stat_result) -> None:
        """Begin anew where the file is another one: a run that was resumed has its undone steps taken out."""
        file = (status.st_dev, status.st_ino)
        if file != self._file or status.st_size < self._at:
            self._file, self._at, self._rest = file, max(0, status.st_size - _TAIL), b""
            self._steps.clear()

    def _take(self, entry: Mapping[str, Any]) -> None:
        begun = self._steps.get(entry.get("sequence_id", -1))
        step = step_of(entry, {begun.step.sequence_id: begun.step} if begun is not None else {})
        if step is None:
            return
        self._steps[step.sequence_id] = LoggedStep(step, entry.get("result") or {}, entry.get("state") or {})
        while len(self._steps) > _MOST:
            self._steps.popitem(last=False)
