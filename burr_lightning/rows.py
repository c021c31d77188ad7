"""The rows of a run in any Burr persister: bounded in size, with the whole history behind them."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from burr.core import State
from burr.core.persistence import BaseStatePersister

from .errors import ResumeError, UnreadableRowError
from .history import MetricHistory
from .state import initial_state, json_value

log = logging.getLogger(__name__)

_CHUNK = 8
"""Checks of the history that a row may hold before the rows after it refer to it instead."""

DIGEST = "__digest"
"""The key of a row that says what else is in it; see `row_digest`."""

_SINCE_DIGESTS = "seconds"
"""A key that every row has which was written since rows have digests: one without both is of before."""

_DEFAULTS = initial_state({}, None, None)
_COVERED = tuple(_DEFAULTS)


@dataclass(frozen=True)
class Row:
    """One row: the state after a step of the machine."""

    sequence_id: int
    position: str
    """The action that had run."""
    state: State[Any]
    created: str
    """When it was written, as the persister says it."""

    def is_of(self, sequence_id: int, created: str) -> bool:
        """Whether it is the row of that step that was written then."""
        return (self.sequence_id, self.created) == (sequence_id, created)


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
        # Put together anew: where a state is updated, Burr copies what is replaced.
        row = {key: value for key, value in state.get_all().items() if not key.startswith("__")}
        row["history"], row["metrics"] = chunk, json_value(state["metrics"])
        row["best"] = json_value(best) if best else None
        row[DIGEST] = row_digest(sequence_id, position, row)
        self._persister.save(self._project, self._run_id, sequence_id, position, State(row), "completed")
        if history.checks - first >= _CHUNK:
            self._anchor = (sequence_id, history)

    def newest(self, known: Row | None = None) -> Row | None:
        """The newest row that can be read, ``None`` where the run has none.

        Args:
            known: A row of the same run that was read before: of the history, only what is newer is read
                then, so that looking again costs the same however long the run is.

        Raises:
            UnreadableRowError: If there are rows, and none can be read.
        """
        damaged: list[UnreadableRowError] = []
        for _, stored in self._newest_first():
            if not isinstance(stored, UnreadableRowError):
                if damaged:
                    log.warning(
                        "%s Meanwhile the row before is taken.", damaged[0].with_older(len(damaged) - 1)
                    )
                same = known is not None and known.is_of(stored["sequence_id"], str(stored["created_at"]))
                return known if same else self._row(stored, known)
            damaged.append(stored)
        if damaged:
            raise damaged[0].with_older(len(damaged) - 1) from damaged[0].__cause__
        return None

    def at(self, sequence_id: int) -> Row | None:
        """The row of one step of the machine, ``None`` where that step was not followed by a commit."""
        stored = self._load(sequence_id)
        return self._row(stored) if stored else None

    def newest_sequence_id(self) -> int | None:
        """The step of the newest row, ``None`` where the run has none."""
        newest = self._readable(None)
        if isinstance(newest, UnreadableRowError):
            if newest.sequence_id is None:
                raise newest
            return newest.sequence_id
        return newest["sequence_id"] if newest is not None else None

    def stored(self, sequence_id: int) -> StoredRow | None:
        """What the row of one step says, ``None`` where there is none; the history is not read."""
        row = self._load(sequence_id)
        if row is None:
            return None
        state = row["state"]
        named, before = state["checkpoint"], state["history"]["before"]
        return StoredRow(row["sequence_id"], row["position"], int(state["epoch"]), named, before)

    def checkpoints(self) -> Iterator[tuple[int, dict[str, Any] | UnreadableRowError | None]]:
        """The step of each row and the checkpoint that it names, the newest first.

        ``None`` stands for no checkpoint yet, and the error of a row that cannot be read for itself.
        """
        for sequence_id, stored in self._newest_first():
            damaged = isinstance(stored, UnreadableRowError)
            yield sequence_id, stored if damaged else stored["state"]["checkpoint"]

    def copy_to(self, other: StateRows, sequence_id: int, **changes: Any) -> None:
        """Give another run a row, under the same number, and those that hold the history before it.

        A copy that was cut off can be made again: what is there already is left as it is.

        Args:
            other: The other run's rows.
            sequence_id: The row.
            changes: Keys of its state, and what they hold in the other run.

        Raises:
            ResumeError: If a row is gone or damaged.
            PersisterError: If the other run has another row of one of these steps.
        """
        stored = self._load(sequence_id)
        if stored is None:
            raise ResumeError(f"Run {self._run_id!r}: row {sequence_id} is gone.")
        for before in reversed(self._before(stored["state"]["history"])):
            other._put(before, before["state"])
        state = stored["state"].update(**changes)
        row = state.update(**{DIGEST: row_digest(sequence_id, stored["position"], state)})
        other._put(stored, row)

    def _put(self, stored: Any, row: State[Any]) -> None:
        number, position = stored["sequence_id"], stored["position"]
        self._persister.save(self._project, self._run_id, number, position, row, "completed")

    def go_on_from(self, row: Row) -> None:
        """Let the rows to come refer to this one for the history before them."""
        self._anchor = (row.sequence_id, row.state["history"])

    def _newest_first(self) -> Iterator[tuple[int, Any]]:
        """What is stored, by the number of the step: numbers tell the age of rows, and no clock does."""
        newest = self._readable(None)
        if newest is None:
            return
        damaged = isinstance(newest, UnreadableRowError)
        first = newest.sequence_id if damaged else newest["sequence_id"]
        if first is None:
            raise newest
        yield first, newest
        for sequence_id in range(first - 1, -1, -1):
            if (stored := self._readable(sequence_id)) is not None:
                yield sequence_id, stored

    def _readable(self, sequence_id: int | None) -> Any:
        try:
            return self._load(sequence_id)
        except UnreadableRowError as error:
            return error

    def _row(self, stored: Any, known: Row | None = None) -> Row:
        stored_state: State[Any] = stored["state"]
        # A row of an older version lacks the keys that are newer.
        state = stored_state.update(**{key: _DEFAULTS[key] for key in _COVERED if key not in stored_state})
        best = state["best"]
        state = state.update(
            history=self._longer(known, state["history"]) or self._history(state["history"]),
            metrics={name: float(value) for name, value in state["metrics"].items()},
            best={**best, "value": _number(best["value"])} if best else None,
        ).wipe(delete=[key for key in state if key.startswith("__")])
        return Row(stored["sequence_id"], stored["position"], state, str(stored["created_at"]))

    def _longer(self, known: Row | None, newest: dict[str, Any]) -> MetricHistory | None:
        """The history of a known row with what is newer, ``None`` where the newest one is not that."""
        if known is None:
            return None
        history: MetricHistory = known.state["history"]
        return history.with_chunks(self._parts(newest, history.checks))

    def _history(self, newest: dict[str, Any]) -> MetricHistory:
        return MetricHistory.from_chunks(self._parts(newest, 0))

    def _parts(self, newest: dict[str, Any], checks: int) -> list[dict[str, Any]]:
        """The parts of a history, the oldest first; see `_before`."""
        return [newest, *(stored["state"]["history"] for stored in self._before(newest, checks))][::-1]

    def _before(self, newest: dict[str, Any], checks: int = 0) -> list[Any]:
        """The rows that hold the history before a row's own part of it, the newest first.

        Args:
            newest: That part.
            checks: So many checks are known: the row that has the last of them is the last that is read.
        """
        found: list[Any] = []
        part = newest
        while part["first"] >= checks and (before := part["before"]) is not None:
            stored = self._readable(before)
            if stored is None or isinstance(stored, UnreadableRowError):
                state = "gone" if stored is None else "damaged"
                raise ResumeError(
                    f"Run {self._run_id!r}: row {before} is {state}, and the metric history of the epochs "
                    f"before it with it. Restore the database, or start a new run."
                )
            found.append(stored)
            part = stored["state"]["history"]
        return found

    def _load(self, sequence_id: int | None) -> Any:
        stored = self._persister.load(self._project, self._run_id, sequence_id)
        if stored is not None and not _is_as_written(stored):
            store = str(self._persister)
            number, rule = stored["sequence_id"], "it is not what was written"
            raise UnreadableRowError(self._run_id, number, store, rule)
        return stored


def row_digest(sequence_id: int, position: str, row: Mapping[str, Any]) -> str:
    """A digest of what a row holds of the state of every run, however a database writes its numbers.

    Keys that a machine's own actions add are not covered: what Burr makes of them is not known here.

    Args:
        sequence_id: The step that the row belongs to.
        position: Its action.
        row: The state, as it is stored.
    """
    covered = {key: row[key] for key in _COVERED if key in row}
    text = json.dumps([sequence_id, position, _numbers_alike(covered)], sort_keys=True)
    return f"{len(covered)}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _numbers_alike(value: Any) -> Any:
    """A value of JSON in which 1, 1.0 and 1e0 are the same, and 0.0 and -0.0: some databases change them."""
    if type(value) is float:  # most are, and to ask for a Mapping takes longer than all else
        return value + 0.0
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [_numbers_alike(item) for item in value]
    if isinstance(value, (dict, Mapping)):
        return {str(key): _numbers_alike(item) for key, item in value.items()}
    if not isinstance(value, (int, float)):
        return value
    try:
        return float(value) + 0.0
    except OverflowError:
        return str(value)


def _is_as_written(stored: Any) -> bool:
    """Whether a row holds what was written.

    Rows of a newer version, with more keys, are not judged, nor those that are older than digests.
    """
    if DIGEST not in stored["state"]:
        return _SINCE_DIGESTS not in stored["state"]
    digest = str(stored["state"][DIGEST])
    keys = digest.partition(":")[0]
    if keys.isdecimal() and int(keys) > len(_COVERED):
        return True
    return digest == row_digest(stored["sequence_id"], stored["position"], stored["state"])


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
