"""Which values of a metric improve on the best one before them, one by one and over a whole column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .logged import Logged
from .metric import MonitoredMetric

Places = NDArray[np.int64]


def improved(metric: MonitoredMetric, values: NDArray[np.float64], min_delta: float = 0.0) -> Places:
    """The places of the values that `MonitoredMetric.improves` says are better than the best before them.

    Args:
        metric: The metric and its direction.
        values: Its values; NaN improves on nothing.
        min_delta: By how much a value must be better to count, in the metric's unit, 0 or more.

    Example:
        >>> improved(MonitoredMetric("val_loss"), np.array([0.9, 0.5, 0.6, 0.4]), 0.2).tolist()
        [0, 1]
    """
    lower = values if metric.mode == "min" else -values
    if not min_delta:
        return np.flatnonzero(lower < lowest_before(lower))
    with np.errstate(over="ignore", invalid="ignore"):
        bars = lower + min_delta
        in_32_bits = lower.astype(np.float32)
        fits = in_32_bits == lower
        bars_of_32_bits = (lower + np.float64(np.float32(min_delta))).astype(np.float32).astype(np.float64)
    bars_of_32_bits = np.where(fits, bars_of_32_bits, bars)
    # What did not improve when it came left a best value that its bar is no lower than, and so did what
    # improved. Only a bar that is lower than all before it can be lower than the best value.
    highest = lowest_before(np.maximum(bars, bars_of_32_bits))
    possible = np.flatnonzero(np.fmin(bars, bars_of_32_bits) < highest)
    return possible[_taken(lower[possible], fits[possible], bars[possible], bars_of_32_bits[possible])]


def _taken(*columns: NDArray[Any]) -> list[bool]:
    """Which of the possible improvements are some."""
    best, best_fits, taken = np.inf, True, []
    for value, fits, bar, bar_of_32_bits in zip(*(column.tolist() for column in columns), strict=True):
        improves = (bar_of_32_bits if best_fits else bar) < best
        taken.append(improves)
        if improves:
            best, best_fits = value, fits
    return taken


def lowest_before(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lowest of the values before each, infinite where there is none; NaN is none."""
    return np.fmin.accumulate(np.concatenate([[np.inf], values[:-1]]))[: len(values)]


def newest_of(places: Places, count: int) -> Places:
    """The newest of some places up to each of ``count``, -1 before the first.

    Example:
        >>> newest_of(np.array([1, 3]), 5).tolist()
        [-1, 1, 1, 3, 3]
    """
    newest = np.full(count, -1)
    newest[places] = places
    found: Places = np.maximum.accumulate(newest)
    return found


@dataclass(frozen=True)
class SinceBest:
    """A statistic: how many checks of a metric lie after its best one, each without an improvement on it.

    Args:
        metric: The metric and its direction.
        min_delta: By how much a value must be better to count, in the metric's unit, 0 or more.

    Example:
        >>> list(SinceBest(MonitoredMetric("val_loss")).values([(0, 0.9), (1, 0.5), (2, 0.6)]))
        [0, 0, 1]
    """

    metric: MonitoredMetric
    min_delta: float = 0.0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that it is taken of."""
        return (self.metric.name,)

    def values(self, logged: Iterable[tuple[Any, ...]]) -> Iterator[float]:
        """One count for each epoch and value that was logged."""
        best, since = self.metric.worst, 0
        for _, value in logged:
            if self.metric.improves(value, over=best, min_delta=self.min_delta):
                best, since = value, 0
            else:
                since += 1
            yield since

    def over(self, logged: Logged) -> NDArray[Any]:
        """The same counts, over columns."""
        (values,) = logged.values
        count = len(values)
        return np.arange(count) - newest_of(improved(self.metric, values, self.min_delta), count)
