"""The statistics of Prechelt, "Early Stopping - But When?", 1998: of losses, and of strips of losses."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..improvements import lowest_before, newest_of
from ..logged import Logged
from ..metric import MonitoredMetric
from .sums import total, totals


def _loss_over_best(value: float, best: float) -> float:
    """``GL``: 100 times the relative distance of a loss to the best one; NaN where that means nothing."""
    if not best >= 0 or math.isinf(best):
        return math.nan
    if value == best:
        return 0.0
    return 100 * (value / best - 1) if best else math.inf


def _losses_over_best(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """`_loss_over_best` of each loss in a column; NaN for NaN."""
    best = np.fmin(lowest_before(values), values)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = np.where(best != 0, 100 * (values / best - 1), math.inf)
    found[values == best] = 0.0
    found[~(best >= 0) | np.isinf(best) | np.isnan(values)] = math.nan
    return found


@dataclass(frozen=True)
class GeneralizationLoss:
    """A statistic: ``GL``, in percent of the lowest loss so far."""

    metric: str

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that it is taken of."""
        return (self.metric,)

    def values(self, logged: Iterable[tuple[Any, ...]]) -> Iterator[float]:
        """``GL`` at each loss."""
        loss = MonitoredMetric(self.metric)
        best = loss.worst
        for _, value in logged:
            best = value if loss.improves(value, over=best) else best
            yield math.nan if math.isnan(value) else _loss_over_best(value, best)

    def over(self, logged: Logged) -> NDArray[Any]:
        """The same numbers, over columns."""
        return _losses_over_best(logged.values[0])


def _ends_of_strips(trained: list[int], strip: int) -> list[int]:
    """At which validations a strip is over, from how many training losses were logged until each."""
    ends: list[int] = []
    over = strip
    while (end := bisect_left(trained, over, ends[-1] if ends else 0)) < len(trained):
        ends.append(end)
        over = trained[end] + strip
    return ends


@dataclass(frozen=True)
class ProgressQuotient:
    """A statistic: ``PQ``, the generalization loss over the progress of the training."""

    train: str
    val: str
    strip: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it is taken of."""
        return (self.train, self.val)

    def values(self, logged: Iterable[tuple[Any, ...]]) -> Iterator[float]:
        """``PQ`` at each check: that of the last strip that is over, NaN before the first is."""
        loss = MonitoredMetric(self.val)
        best, quotient, since = loss.worst, math.nan, 0
        strip: deque[float] = deque(maxlen=self.strip)
        for _, train, val in logged:
            if train is not None:
                strip.append(train)
                since += 1
            if val is not None:
                best = val if loss.improves(val, over=best) else best
                if since >= self.strip:
                    quotient, since = self._quotient(val, best, strip), 0
            yield quotient

    def over(self, logged: Logged) -> NDArray[Any]:
        """The same quotients, over columns."""
        (train, val), (trained, validated) = logged.values, logged.there
        checks, count = np.flatnonzero(validated), np.cumsum(trained)
        ends = _ends_of_strips(count[checks].tolist(), self.strip)
        at = checks[ends]
        strips = train[trained][count[at] - np.arange(self.strip, 0, -1)[:, np.newaxis]]
        quotients = self._quotients(_losses_over_best(val[checks])[ends], strips)
        quotients[np.isnan(val[at])] = math.nan
        newest = np.searchsorted(at, np.arange(len(train)), side="right")
        return np.concatenate([[math.nan], quotients])[newest]

    def _quotients(self, losses: NDArray[np.float64], strips: NDArray[np.float64]) -> NDArray[np.float64]:
        """`_quotient` of each generalization loss, with the training losses of its strip in a column."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            lowest = np.min(strips, axis=0)
            rises = totals(strips - lowest, len(losses))
            progress = 1000 * rises / (self.strip * lowest)
            found = np.where(progress > 0, losses / progress, math.inf)
        found[losses == 0] = 0.0
        found[~np.isfinite(strips).all(axis=0) | (lowest <= 0)] = math.nan
        return found

    def _quotient(self, val: float, best: float, strip: deque[float]) -> float:
        lowest = min(strip)
        if math.isnan(val) or not all(map(math.isfinite, strip)) or lowest <= 0:
            return math.nan
        # As differences: of equal losses the sum is 0 to the bit.
        progress = 1000 * total(loss - lowest for loss in strip) / (len(strip) * lowest)
        loss = _loss_over_best(val, best)
        if loss == 0:
            return 0.0
        return loss / progress if progress > 0 else math.inf


@dataclass(frozen=True)
class ConsecutiveIncreases:
    """A statistic: at how many ends of a strip in a row a metric was worse than at the end before."""

    metric: MonitoredMetric
    strip: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that it is taken of."""
        return (self.metric.name,)

    def values(self, logged: Iterable[tuple[Any, ...]]) -> Iterator[float]:
        """The count at each value: that of the last strip that is over."""
        times, last = 0, None
        for number, (_, value) in enumerate(logged, start=1):
            if number % self.strip == 0:
                rose = last is not None and self.metric.is_worse(value, last)
                times, last = times + 1 if rose else 0, value
            yield times

    def over(self, logged: Logged) -> NDArray[Any]:
        """The same counts, over columns."""
        (values,) = logged.values
        ends = values[self.strip - 1 :: self.strip]
        strips = np.arange(len(ends))
        fell = np.ones(len(ends), dtype=bool)
        fell[1:] = ~self.metric.is_worse(ends[1:], ends[:-1])
        times = strips - newest_of(np.flatnonzero(fell), len(ends))
        return np.concatenate([[0], times])[np.arange(1, len(values) + 1) // self.strip]
