"""The rows of a study in any Burr persister: bounded in size, with the whole ledger behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burr.core import State
from burr.core.persistence import BaseStatePersister

from ..errors import ResumeError
from .ledger import Ledger
from .state import in_short

_CHUNK = 3000
"""Bytes of events of the ledger that a row may hold before the rows after it refer to it instead."""


@dataclass(frozen=True)
class StudyRow:
    """The state of a study after one of its steps."""

    sequence_id: int
    position: str
    """The action that had run."""
    state: State[Any]


class StudyRows:
    """The rows of one study.

    A row holds the newest events of the ledger and the number of the row that holds those before them, so
    that its size does not grow with the study and any persister can give the whole ledger back. It holds as
    many events as there are until they are larger than a bound, so that only an event that is large itself,
    as one of a trial with very many parameters is, makes a larger row.

    Args:
        persister: Any synchronous Burr persister, initialised.
        project: The partition key.
        study_id: The application id.
    """

    def __init__(self, persister: BaseStatePersister, project: str, study_id: str) -> None:
        self._persister, self._project, self._study_id = persister, project, study_id
        self._anchor: tuple[int, Ledger] | None = None

    def save(self, sequence_id: int, position: str, state: State[Any]) -> None:
        """Write one row, in the persister's own transaction."""
        ledger: Ledger = state["ledger"]
        if self._anchor is not None and not ledger.extends(self._anchor[1]):
            self._anchor = None
        before, first = (self._anchor[0], self._anchor[1].events) if self._anchor else (None, 0)
        chunk = {**ledger.chunk(first), "directions": list(ledger.directions), "before": before}
        best = ledger.best and ledger.best.number  # no value: not every database takes an infinite one
        row = state.update(ledger=chunk, best=best).wipe(
            delete=[key for key in state if key.startswith("__")]
        )
        self._persister.save(self._project, self._study_id, sequence_id, position, row, "completed")
        if len(json.dumps(chunk["events"], default=str)) >= _CHUNK:
            self._anchor = (sequence_id, ledger)

    def newest(self) -> StudyRow | None:
        """The newest row, ``None`` where the study has none.

        Raises:
            ResumeError: If a row that holds a part of the ledger is gone.
        """
        stored = self._persister.load(self._project, self._study_id)
        if stored is None:
            return None
        newest: Mapping[str, Any] = stored["state"]["ledger"]
        parts = [newest]
        while (before := parts[-1]["before"]) is not None:
            parts.append(self._part(before))
        ledger = Ledger.from_chunks(newest["directions"], reversed(parts))
        self._anchor = (stored["sequence_id"], ledger)
        state = stored["state"].update(ledger=ledger, best=in_short(ledger.best))
        return StudyRow(stored["sequence_id"], stored["position"], state)

    def _part(self, sequence_id: int) -> Mapping[str, Any]:
        stored = self._persister.load(self._project, self._study_id, sequence_id)
        if stored is None:
            raise ResumeError(
                f"Study {self._study_id!r}: row {sequence_id} is gone, and the trials that it held with it. "
                f"Restore the database, or start a new study."
            )
        part: Mapping[str, Any] = stored["state"]["ledger"]
        return part
