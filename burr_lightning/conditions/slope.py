"""A metric improves too slowly."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..logged import Logged
from ..metric import Mode, MonitoredMetric
from .arguments import check_count, check_metrics, check_mode, checked_number, written
from .base import StopCondition
from .measured import Measured, Reading
from .sums import total, totals


@dataclass(frozen=True)
class Improvement:
    """A statistic: by how much a metric gets better per check, over its newest checks.

    NaN while there are too few, or one of them is not finite.
    """

    metric: MonitoredMetric
    window: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that it is taken of."""
        return (self.metric.name,)

    def values(self, logged: Iterable[tuple[Any, ...]]) -> Iterator[float]:
        """The least-squares slope at each value, in the direction in which the metric gets better."""
        weights = self._weights()
        newest: deque[float] = deque(maxlen=self.window)
        for _, value in logged:
            newest.append(value)
            # As differences: of equal values the slope is 0 to the bit.
            rises = [other - newest[0] for other in newest]
            slope = total(map(mul, weights, rises)) if len(newest) == self.window else math.nan
            yield slope if math.isfinite(slope) else math.nan

    def over(self, logged: Logged) -> NDArray[Any]:
        """The same slopes, over columns."""
        (values,) = logged.values
        found = np.full(len(values), math.nan)
        count = len(values) - self.window + 1
        if count <= 0:
            return found
        first = values[:count]
        with np.errstate(over="ignore", invalid="ignore"):
            rises = (values[place : place + count] - first for place in range(self.window))
            slopes = totals(map(mul, self._weights(), rises), count)
        found[self.window - 1 :] = np.where(np.isfinite(slopes), slopes, math.nan)
        return found

    def _weights(self) -> list[float]:
        middle = (self.window - 1) / 2
        scale = total((place - middle) ** 2 for place in range(self.window))
        scale *= 1 if self.metric.mode == "max" else -1
        return [(place - middle) / scale for place in range(self.window)]


def slope_below(metric: str, slope: float, window: int = 10, mode: Mode | None = None) -> StopCondition:
    """True when a metric improves by less than ``slope`` per check, over its last ``window`` checks.

    The improvement is the slope of the least-squares line through the values ``x_1 ... x_w``, turned so
    that better is positive: ``sum((i - m) * x_i) / sum((i - m) ** 2)`` with ``m = (w + 1) / 2``, times
    -1 where lower is better. Source: ordinary least squares on equally spaced points.

    Args:
        metric: The metric's name.
        slope: The least improvement that is worth going on for, in the metric's unit per check. At 0 only
            a metric that gets worse is stopped; it may be negative.
        window: Over how many checks, 2 or more. Before there are as many, and while one of them is not
            finite, nothing is decided.
        mode: ``"min"`` or ``"max"``; ``None`` takes the direction that the metric itself declares, else
            that of the run's monitored metric where it is this one, else ``"min"``.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory, explain
        >>> history = MetricHistory()
        >>> for epoch, loss in enumerate([0.9, 0.5, 0.49, 0.48]):
        ...     history = history.append(epoch, {"val_loss": loss})
        >>> print(explain(slope_below("val_loss", 0.05, window=3), State({"history": history})).reason)
        slope_below(val_loss, 0.05, window=3): it improves by 0.01 a check
    """
    call = written("slope_below", [str(metric)], mode, limits=[slope], window=window)
    check_metrics(call, metric)
    slope = checked_number(call, "slope", slope, rule="a number, in the metric's unit per check")
    check_count(call, "window", window, 2, "checks")
    check_mode(call, mode)

    def say(found: Reading) -> str:
        if math.isnan(found.number):
            return f"fewer than {window} finite checks in a row"
        return f"it improves by {found.number:.4g} a check"

    return Measured(
        call,
        [metric],
        mode,
        lambda mode: Improvement(MonitoredMetric(metric, mode), window),
        lambda improvement, mode: improvement < slope,
        say,
    )
