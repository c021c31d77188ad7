"""A metric jumps away from what it was."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..logged import Logged
from ..metric import Mode, MonitoredMetric
from .arguments import check_count, check_metrics, check_mode, checked_number, written
from .base import StopCondition
from .measured import Measured, Reading

_NORMAL = 0.6745
"""The median absolute deviation of a normal distribution, in standard deviations."""
_AT_ONCE = 2**18
"""How many numbers are sorted at once: windows over a long history would fill the memory."""


@dataclass(frozen=True)
class ModifiedZScore:
    """A statistic: how far a metric jumped for the worse, in robust standard deviations of those before.

    NaN while there are too few values before it, one of those is not finite, or the newest is NaN.
    """

    metric: MonitoredMetric
    window: int
    min_delta: float

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that it is taken of."""
        return (self.metric.name,)

    def values(self, logged: Iterable[tuple[Any, ...]]) -> Iterator[float]:
        """The score of each value."""
        before: deque[float] = deque(maxlen=self.window)
        worse = 1 if self.metric.mode == "min" else -1
        for _, value in logged:
            known = len(before) == self.window and not math.isnan(value) and _all_finite(before)
            yield self._score(before, value, worse) if known else math.nan
            before.append(value)

    def over(self, logged: Logged) -> NDArray[Any]:
        """The same scores, over columns."""
        (values,) = logged.values
        found = np.full(len(values), math.nan)
        not_finite = np.concatenate([[0], np.cumsum(~np.isfinite(values))])
        full = not_finite[self.window : -1] == not_finite[: -self.window - 1]
        known = np.flatnonzero(full & ~np.isnan(values[self.window :]))
        at_once = max(1, _AT_ONCE // self.window)
        for first in range(0, len(known), at_once):
            some = known[first : first + at_once]
            before = values[some[:, np.newaxis] + np.arange(self.window)]
            found[some + self.window] = self._scores(before, values[some + self.window])
        return found

    def _scores(self, before: NDArray[np.float64], newest: NDArray[np.float64]) -> NDArray[np.float64]:
        """The score of each value, from the values before it in a row."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            middles = _medians(before)
            jumps = (newest - middles) * (1 if self.metric.mode == "min" else -1)
            scores = np.zeros(len(newest))
            jumped = np.flatnonzero(~(jumps <= self.min_delta))
            deviations = _medians(np.abs(before[jumped] - middles[jumped, np.newaxis]))
            scores[jumped] = np.where(deviations != 0, _NORMAL * jumps[jumped] / deviations, math.inf)
        return scores

    def _score(self, before: Iterable[float], value: float, worse: int) -> float:
        middle = _median(sorted(before))
        jump = (value - middle) * worse
        if jump <= self.min_delta:
            return 0.0
        deviation = _median(sorted(abs(other - middle) for other in before))
        return _NORMAL * jump / deviation if deviation else math.inf


def _all_finite(values: Collection[float]) -> bool:
    # The sum tells it at once, but for finite values whose sum is too large.
    return math.isfinite(sum(values)) or all(map(math.isfinite, values))


def _median(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _medians(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of each row, as `_median` has it."""
    ordered = np.sort(rows, axis=1)
    half = rows.shape[1] // 2
    found: NDArray[np.float64] = ordered[:, half]
    return found if rows.shape[1] % 2 else (ordered[:, half - 1] + found) / 2


def spike(
    metric: str,
    threshold: float = 3.5,
    window: int = 10,
    min_delta: float = 0.0,
    mode: Mode | None = None,
) -> StopCondition:
    """True when the newest value of a metric is far worse than those before it.

    With ``med`` the median of the ``window`` values before the newest one, ``x``, and ``MAD`` the median
    of their distances to it: ``0.6745 * (x - med) / MAD > threshold``, turned round where higher is
    better. An infinite ``x`` is a spike; NaN decides nothing (`not_finite` does). Where ``MAD`` is 0,
    any jump is one: give a ``min_delta``. Source: the modified z-score of Iglewicz and Hoaglin, "How to
    Detect and Handle Outliers", 1993, who take 3.5 as the limit.

    Args:
        metric: The metric's name.
        threshold: How many robust standard deviations are borne, more than 0.
        window: How many values before the newest it is compared with, 3 or more. Before there are as many,
            and while one of them is not finite, nothing is decided.
        min_delta: Jumps that are not larger are none, in the metric's unit, 0 or more.
        mode: ``"min"`` or ``"max"``; ``None`` takes the direction that the metric itself declares, else
            that of the run's monitored metric where it is this one, else ``"min"``.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> history = MetricHistory()
        >>> for epoch, loss in enumerate([0.52, 0.50, 0.51, 0.49, 0.95]):
        ...     history = history.append(epoch, {"train_loss": loss})
        >>> spike("train_loss", window=4).run(State({"history": history}))
        {'PROCEED': True}
    """
    call = written(
        "spike", [str(metric)], mode, threshold=threshold, window=window, min_delta=min_delta or None
    )
    check_metrics(call, metric)
    threshold = checked_number(call, "threshold", threshold, at_least=math.ulp(0), rule="more than 0")
    check_count(call, "window", window, 3, "checks")
    min_delta = checked_number(call, "min_delta", min_delta, at_least=0, rule="0 or more")
    check_mode(call, mode)

    def say(found: Reading) -> str:
        if math.isnan(found.number):
            return f"{found.newest} has fewer than {window} finite checks before it, or is NaN itself"
        before = sorted(found.history.latest(metric, back)[1] for back in range(1, window + 1))
        return (
            f"{found.newest} against a median of {_median(before):.4g} in the {window} checks before, "
            f"a score of {found.number:.3g}"
        )

    return Measured(
        call,
        [metric],
        mode,
        lambda mode: ModifiedZScore(MonitoredMetric(metric, mode), window, min_delta),
        lambda score, mode: score > threshold,
        say,
    )
