"""The event files of Lightning's ``TensorBoardLogger``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import HistoryError, MissingExtraError
from .csv_files import epoch_name
from .tables import Table, numbers_of, series_of, when


@dataclass(eq=False)
class _Row:
    """What one call logged."""

    step: int
    seconds: float
    """Since 1970 as it is read, and then since the training began."""
    values: dict[str, float]
    epoch: float = math.nan


def table_of_events(paths: Sequence[Path], wanted: Iterable[str], source: str) -> Table:
    """The rows of one training's event files.

    Args:
        paths: The files: Lightning begins a new one where a training goes on. Steps that were taken again
            count as they were taken last, and the time between two files does not count.
        wanted: The metrics to read.
        source: The call and the history, for errors.

    Raises:
        HistoryError: If they are no event files, or there is no scalar in them.
        MissingExtraError: If tensorboard is not installed.
    """
    rows: list[_Row] = []
    for began, found in sorted(_read(paths, source), key=lambda file: file[0]):
        rows = _gone_on(rows, began, found)
    if not rows:
        raise HistoryError(f"{source}: there is no scalar in it.")
    columns = {name: [row.values.get(name) for row in rows] for name in wanted}
    read = {name: series_of(column, name, source) for name, column in columns.items()}
    return Table(
        size=len(rows),
        series={name: series for name, series in read.items() if series},
        logged=lambda: {name for row in rows for name in row.values},
        epochs=when(numbers_of([row.epoch for row in rows], "epoch", source)),
        steps=np.array([row.step for row in rows], dtype=np.float64),
        seconds=np.array([row.seconds for row in rows]),
    )


def _gone_on(rows: list[_Row], began: float, later: list[_Row]) -> list[_Row]:
    """The rows of a training up to where a later file takes it up, and those of that file.

    Only the steps of rows that say their epoch are sure to be those of the training, where some do.
    """
    counted = [row for row in rows if not math.isnan(row.epoch)] or rows
    again = next((row for row in counted if row.step >= later[0].step), None)
    kept = rows if again is None else rows[: rows.index(again)]
    before = kept[-1].seconds if kept else 0.0
    for row in later:
        row.seconds += before - began
    return kept + later


def _read(paths: Sequence[Path], source: str) -> Iterator[tuple[float, list[_Row]]]:
    """When each file was begun, in seconds since 1970, and its rows; files without rows are left out."""
    try:
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
    except ModuleNotFoundError as error:
        raise MissingExtraError(source, "tensorboard", "tensorboard") from error
    loaded = [list(LegacyEventFileLoader(str(path)).Load()) for path in paths]
    if not any(loaded):
        names = ", ".join(path.name for path in paths)
        raise HistoryError(f"{source}: no event of TensorBoard can be read in {names}.")
    for events in loaded:
        if rows := _rows(events):
            yield events[0].wall_time, rows


def _rows(events: Iterable[Any]) -> list[_Row]:
    rows: list[_Row] = []
    is_over = True
    scalars = ((event, value.tag, _number(value)) for event in events for value in event.summary.value)
    for event, tag, number in scalars:
        if number is None:
            continue
        if is_over or tag in rows[-1].values or event.step != rows[-1].step:
            rows.append(_Row(event.step, event.wall_time, {}))
        # Lightning logs the epoch after everything else of a call.
        is_over = epoch_name([tag]) == tag
        if is_over:
            rows[-1].epoch = number
        else:
            rows[-1].values[tag] = number
    return rows


def _number(value: Any) -> float | None:
    """What a value of an event says, ``None`` where that is not one number: a picture, a text."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor"):
        return None
    from tensorboard.util.tensor_util import make_ndarray

    array = make_ndarray(value.tensor)
    return float(array.item()) if array.size == 1 and array.dtype.kind in "fiu" else None
