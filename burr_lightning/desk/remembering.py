"""The newest rows of runs, read again only where there is a newer one."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Any

from ..errors import BurrLightningError
from ..layout import RunFolder, RunInfo
from ..persisters import Place
from ..rows import Row
from ..stored_rows import StoredRows

_MOST_CHECKS = 100_000
"""Checks of metric histories that are kept in memory, of all runs together: some 60 MB."""


class RowMemory:
    """Rows that were read before; safe to use from several threads."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Any, tuple[Any, Row]] = OrderedDict()
        self._lock = Lock()

    def get(self, run: Any, version: Any) -> Row | None:
        """The row of a run, where it is of that version."""
        with self._lock:
            known, row = self._rows.get(run, (None, None))
            return row if known == version else None

    def put(self, run: Any, version: Any, row: Row) -> None:
        """Keep a row; those kept longest give way."""
        with self._lock:
            self._rows.pop(run, None)
            self._rows[run] = version, row
            while len(self._rows) > 1 and self._checks() > _MOST_CHECKS:
                self._rows.popitem(last=False)

    def _checks(self) -> int:
        return sum(row.state["history"].checks for _, row in self._rows.values())


class NewestRows(StoredRows):
    """Stored rows of which the newest is taken from memory while no newer one is stored.

    Args:
        memory: What was read before.
        given: The persister that the caller gave, as in `StoredRows`.
    """

    def __init__(self, memory: RowMemory, given: str | Place | None) -> None:
        super().__init__(given, "burr-lightning ui", strict=False)
        self._memory = memory

    def newest(self, folder: RunFolder, info: RunInfo) -> tuple[Row | None, str | None]:
        """The newest row of a run that can be read, and where none can, why."""
        run, version = (str(folder.path), info.created), self._version(folder, info)
        remembered = self._memory.get(run, version) if version is not None else None
        if remembered is not None:
            return remembered, None
        row, error = super().newest(folder, info)
        # A row that is newer than the version, or older since that one is damaged, is read again.
        if row is not None and version is not None and version[0] == row.sequence_id:
            self._memory.put(run, version, row)
        return row, error

    def _version(self, folder: RunFolder, info: RunInfo) -> tuple[int, str] | None:
        """What tells the newest row from those before it: its number, and when it was written."""
        try:
            stored = self._persister(folder, info).load(folder.project, folder.run_id)
        except BurrLightningError:
            return None  # `super().newest` says what is wrong
        return (stored["sequence_id"], str(stored["created_at"])) if stored else None
