"""Histories that a user has in memory: lists of dicts, columns, data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import HistoryError
from ..recording import Series
from .tables import WHEN, Numbers, Table, numbers_of, series_of, when


def table_of_rows(rows: Sequence[Mapping[str, Any]], wanted: Iterable[str], source: str) -> Table:
    """A list of dicts: one dict per epoch or check, in which a missing key or ``None`` is no value.

    Args:
        rows: The dicts.
        wanted: The metrics to read.
        source: The call and the history, for errors.

    Raises:
        HistoryError: If a value is not a number.
    """

    def column(name: str) -> list[Any]:
        return [row.get(name) for row in rows]

    def logged() -> Iterable[str]:
        return {name for row in rows for name, value in row.items() if value is not None} - WHEN

    try:
        columns = {name: column(name) for name in {*wanted, *WHEN}}
    except AttributeError:
        odd = next(row for row in rows if not isinstance(row, Mapping))
        raise HistoryError(f"{source}: every row must be a dict, and one is {odd!r}.") from None
    return _table(columns, len(rows), wanted, logged, source)


def table_of_columns(columns: Mapping[str, Sequence[Any]], wanted: Iterable[str], source: str) -> Table:
    """A dict of columns, one entry per epoch or check, in which ``None`` is no value.

    Args:
        columns: The columns.
        wanted: The metrics to read.
        source: The call and the history, for errors.

    Raises:
        HistoryError: If a value is not a number, or the columns are not equally long.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        monitor = next(iter(wanted))
        hint = (
            "" if monitor in columns else f" If these are several histories, {as_several(columns, monitor)}."
        )
        raise HistoryError(f"{source}: the columns are of different lengths: {lengths}.{hint}")

    def logged() -> Iterable[str]:
        return [n for n, column in columns.items() if n not in WHEN and any(v is not None for v in column)]

    return _table(columns, next(iter(lengths.values())), wanted, logged, source)


def as_several(columns: Mapping[str, Any], monitor: str) -> str:
    """How columns would have to be written to be the monitored metric of several histories."""
    return f"write {{{next(iter(columns))!r}: {{{monitor!r}: [...]}}, ...}}"


def _table(
    columns: Mapping[str, Sequence[Any]], size: int, wanted: Iterable[str], logged: Any, source: str
) -> Table:
    read = {name: series_of(columns[name], name, source) for name in wanted if name in columns}
    facts = {name: when(numbers_of(columns[name], name, source)) for name in WHEN if name in columns}
    return _by_epoch(size, {name: series for name, series in read.items() if series}, logged, facts)


def table_of_frame(frame: Any, wanted: Iterable[str], source: str) -> Table:
    """A pandas data frame, one row per epoch or check, in which NaN is no value.

    Args:
        frame: The data frame; levels of its index that are named ``epoch``, ``step`` or ``seconds`` are read
            as columns of that name.
        wanted: The metrics to read.
        source: The call and the history, for errors.

    Raises:
        HistoryError: If a value is not a number.
    """
    levels = [name for name in frame.index.names if name in WHEN - set(frame.columns)]
    if levels:
        frame = frame.reset_index(level=levels)

    def column(name: str) -> Numbers:
        return numbers_of(frame[name].to_numpy(na_value=np.nan), name, source)

    def logged() -> Iterable[str]:
        return [str(name) for name in frame.columns if name not in WHEN and frame[name].notna().any()]

    series = {}
    for name in wanted:
        if name in frame.columns:
            numbers = column(name)
            at = np.flatnonzero(~np.isnan(numbers))
            if len(at):
                series[name] = Series(at, numbers[at].tolist())
    facts = {name: when(column(name)) for name in WHEN if name in frame.columns}
    return _by_epoch(len(frame), series, logged, facts)


def _by_epoch(
    size: int, series: Mapping[str, Series], logged: Any, facts: Mapping[str, Numbers | None]
) -> Table:
    """A table whose rows are an epoch each, where they do not say."""
    epochs = facts.get("epoch")
    if epochs is None:
        epochs = np.arange(size, dtype=np.float64)
    return Table(size, series, logged, epochs, facts.get("step"), facts.get("seconds"))
