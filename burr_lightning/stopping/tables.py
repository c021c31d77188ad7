"""What was logged, row by row, and the checks that it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import HistoryError
from ..recording import Recording, Series

Numbers = NDArray[np.float64]

WHEN = frozenset({"epoch", "step", "seconds"})
"""The columns that say when a row was logged."""


@dataclass(frozen=True)
class Table:
    """The rows of a log, oldest first; a row need not hold every metric."""

    size: int
    """How many rows there are."""
    series: Mapping[str, Series]
    """The metrics that were asked for and are there; `Series.at` is the number of the row."""
    logged: Callable[[], Iterable[str]]
    """Gives all metrics that are there."""
    epochs: Numbers | None = None
    """The epoch of each row, NaN where it does not say; ``None`` where no row does."""
    steps: Numbers | None = None
    """Optimizer steps taken until each row, in the same way."""
    seconds: Numbers | None = None
    """Seconds of training until each row, in the same way."""


def placed(
    series: Mapping[str, Series], place: Callable[[NDArray[np.int64]], NDArray[np.int64]], end: int
) -> dict[str, Series]:
    """The metrics with their values moved to other rows.

    Args:
        series: The metrics.
        place: From the numbers of rows to those that they have now, or ``end`` for a row that is gone.
            Where several become one, the newest value counts.
        end: How many rows there are now.
    """
    moved = {}
    for name, metric in series.items():
        at = place(np.asarray(metric.at, dtype=np.int64))
        kept = at < end
        kept[:-1] &= at[:-1] != at[1:]
        whole = bool(kept.all())
        values = metric.values if whole else [metric.values[i] for i in np.flatnonzero(kept).tolist()]
        moved[name] = Series(at if whole else at[kept], values)
    return {name: metric for name, metric in moved.items() if len(metric.values)}


def known_epochs(table: Table, source: str) -> NDArray[np.int64] | None:
    """The epoch of each row, also of those that do not say; ``None`` where no row does.

    A row that does not say was logged beside Lightning's own rows, as a learning rate is. Where its step
    leads from the row before it to the row after it, it belongs to the epoch of the row after it, else to
    that of the row before it.

    Raises:
        HistoryError: If an epoch is not a whole number, 0 or more, or one comes before the one before it.
    """
    if table.epochs is None:
        return None
    says = np.flatnonzero(~np.isnan(table.epochs))
    row = np.arange(table.size)
    # A row that says its epoch is before and after itself, and at the ends there is one for both.
    before = says[np.maximum(np.searchsorted(says, row, side="right") - 1, 0)]
    after = says[np.minimum(np.searchsorted(says, row), len(says) - 1)]
    steps = table.steps
    leads_on = steps is None or (steps[before] < steps) & (steps <= steps[after])
    epochs = table.epochs[np.where(leads_on, after, before)]
    _refuse_odd(epochs, source)
    return epochs.astype(np.int64)


def _refuse_odd(epochs: Numbers, source: str) -> None:
    odd = np.flatnonzero((epochs < 0) | (epochs != np.floor(epochs)) | np.isinf(epochs))
    if len(odd):
        raise HistoryError(
            f"{source}: an epoch is a whole number, 0 for the first; row {odd[0]} says {epochs[odd[0]]:g}."
        )
    back = np.flatnonzero(epochs[1:] < epochs[:-1])
    if len(back):
        row = int(back[0]) + 1
        raise HistoryError(
            f"{source}: row {row} goes back from epoch {epochs[row - 1]:g} to {epochs[row]:g}. This looks "
            f"like several trainings in one log: give the rows of each as a history of its own."
        )


def recording_of(table: Table, monitor: str, name: str, source: str) -> Recording:
    """The checks of a log: each row that has the monitored metric, and the last row of each epoch.

    What other rows hold enters at the next check, where the newest value counts. The last validation of
    an epoch is one check with the epoch's end, unless steps were taken in between.

    Args:
        table: The log, in which ``monitor`` is.
        monitor: The monitored metric. Where no row says its epoch, each row that has it ends one.
        name: What the recording is called.
        source: The call and the history, for errors.

    Raises:
        HistoryError: If the epochs of the rows cannot be those of one training.
    """
    monitored = np.asarray(table.series[monitor].at, dtype=np.int64)
    epochs = known_epochs(table, source)
    if epochs is None:
        epochs = np.searchsorted(monitored, np.arange(table.size)).astype(np.int64)
        ends = np.zeros(table.size, dtype=bool)
        ends[monitored] = True
    else:
        ends = np.append(epochs[1:] != epochs[:-1], True)
    is_check = ends.copy()
    is_check[monitored] = True
    is_check[_checked_at_end(monitored, np.flatnonzero(ends), table.steps)] = False
    checks = np.flatnonzero(is_check)
    return Recording(
        epochs=epochs[checks],
        ends_epoch=ends[checks],
        series=placed(table.series, lambda rows: np.searchsorted(checks, rows), len(checks)),
        steps=_at(checks, table.steps),
        seconds=_at(checks, table.seconds),
        name=name,
    )


def _checked_at_end(
    monitored: NDArray[np.int64], ends: NDArray[np.int64], steps: Numbers | None
) -> NDArray[np.int64]:
    """The rows of validations that belong to the end of their epoch, which is a later row."""
    end = ends[np.searchsorted(ends, monitored)]
    at_end: NDArray[np.bool_] = np.append(end[1:] != end[:-1], True) & (monitored != end)
    if steps is not None:
        at_end &= ~(steps[monitored] < steps[end])
    validated: NDArray[np.int64] = monitored[at_end]
    return validated


def _at(checks: NDArray[np.int64], numbers: Numbers | None) -> Numbers | None:
    if numbers is None or np.isnan(numbers[checks]).all():
        return None
    return numbers[checks]


def numbers_of(column: Any, name: str, source: str) -> Numbers:
    """A column as numbers, NaN for ``None``.

    Raises:
        HistoryError: If there is something else in it than numbers and ``None``.
    """
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise HistoryError(f"{source}: {name!r} must be numbers or None: {error}.") from error
    if numbers.ndim != 1:
        raise HistoryError(f"{source}: {name!r} must be one number in each row, not several.")
    return numbers


def when(numbers: Numbers) -> Numbers | None:
    """A column that says when rows were logged, ``None`` where none does."""
    return None if np.isnan(numbers).all() else numbers


def series_of(column: Sequence[Any], name: str, source: str) -> Series | None:
    """A metric's series from its column, in which only ``None`` is no value; ``None`` where none is."""
    numbers = numbers_of(column, name, source)
    at = np.arange(len(numbers))
    if np.isnan(numbers).any():
        at = np.flatnonzero([value is not None for value in column])
        numbers = numbers[at]
    return Series(at, numbers.tolist()) if len(at) else None
