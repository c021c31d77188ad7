"""The rows of a run in any Burr persister: bounded in size, with the whole history behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from burr.core import State
from burr.core.persistence import BaseStatePersister

from .errors import ResumeError
from .history import MetricHistory
from .state import json_value

_CHUNK = 8
"""Checks of the history that a row may hold before the rows after it refer to it instead."""


@dataclass(frozen=True)
class Row:
    """One row: the state after a step of the machine."""

    sequence_id: int
    position: str
    """The action that had run."""
    state: State[Any]
    created: str
    """When it was written, as the persister says it."""


@dataclass(frozen=True)
class StoredRow:
    """What one row says, without the history that it refers to."""

    sequence_id: int
    position: str
    """The action that had run."""
    epoch: int
    """The last finished epoch, -1 before the first."""
    checkpoint: dict[str, Any] | None
    """The checkpoint that it names: path, epoch and SHA-256."""
    before: int | None
    """The row that holds the history before its own part, ``None`` where its own is all of it."""


class StateRows:
    """The rows of one run.

    A row holds the newest checks of the metric history and the number of the row that holds those
    before them, so that a row's size does not grow with the run and any persister can give the whole
    history back.

    Args:
        persister: Any synchronous Burr persister, initialised.
        project: The partition key.
        run_id: The application id.
    """

    def __init__(self, persister: BaseStatePersister, project: str, run_id: str) -> None:
        self._persister, self._project, self._run_id = persister, project, run_id
        self._anchor: tuple[int, MetricHistory] | None = None

    def save(self, sequence_id: int, position: str, state: State[Any]) -> None:
        """Write one row, in the persister's own transaction."""
        history: MetricHistory = state["history"]
        if self._anchor is not None and not history.extends(self._anchor[1]):
            self._anchor = None
        before, first = (self._anchor[0], self._anchor[1].checks) if self._anchor else (None, 0)
        chunk = {**history.chunk(first), "before": before}
        best = state["best"]
        row = state.update(
            history=chunk,
            metrics=json_value(state["metrics"]),
            best=json_value(best) if best else None,
        ).wipe(delete=[key for key in state if key.startswith("__")])
        self._persister.save(self._project, self._run_id, sequence_id, position, row, "completed")
        if history.checks - first >= _CHUNK:
            self._anchor = (sequence_id, history)

    def newest(self) -> Row | None:
        """The newest row, ``None`` where the run has none."""
        return self._row(None)

    def at(self, sequence_id: int) -> Row | None:
        """The row of one step of the machine, ``None`` where that step was not followed by a commit."""
        return self._row(sequence_id)

    def newest_sequence_id(self) -> int | None:
        """The step of the newest row, ``None`` where the run has none."""
        newest = self._load(None)
        return newest["sequence_id"] if newest is not None else None

    def stored(self, sequence_id: int) -> StoredRow | None:
        """What the row of one step says, ``None`` where there is none; the history is not read."""
        row = self._load(sequence_id)
        if row is None:
            return None
        state = row["state"]
        named, before = state["checkpoint"], state["history"]["before"]
        return StoredRow(row["sequence_id"], row["position"], int(state["epoch"]), named, before)

    def checkpoints(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """The step of each row and the checkpoint that it names, the newest first."""
        newest = self._load(None)
        if newest is None:
            return
        for sequence_id in range(newest["sequence_id"], -1, -1):
            if stored := self._load(sequence_id):
                yield sequence_id, stored["state"]["checkpoint"]

    def go_on_from(self, row: Row) -> None:
        """Let the rows to come refer to this one for the history before them."""
        self._anchor = (row.sequence_id, row.state["history"])

    def _row(self, sequence_id: int | None) -> Row | None:
        stored = self._load(sequence_id)
        if stored is None:
            return None
        state: State[Any] = stored["state"]
        best = state["best"]
        state = state.update(
            history=self._history(state["history"]),
            metrics={name: float(value) for name, value in state["metrics"].items()},
            best={**best, "value": _number(best["value"])} if best else None,
        ).wipe(delete=[key for key in state if key.startswith("__")])
        return Row(stored["sequence_id"], stored["position"], state, str(stored["created_at"]))

    def _history(self, newest: dict[str, Any]) -> MetricHistory:
        chunks = [newest]
        while (before := chunks[-1]["before"]) is not None:
            stored = self._load(before)
            if stored is None:
                raise ResumeError(
                    f"Run {self._run_id!r}: row {before} is gone, and the metric history of the epochs "
                    f"before it with it. Restore the database, or start a new run."
                )
            chunks.append(stored["state"]["history"])
        return MetricHistory.from_chunks(chunks[::-1])

    def _load(self, sequence_id: int | None) -> Any:
        return self._persister.load(self._project, self._run_id, sequence_id)


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
