"""The stop criteria of Prechelt, "Early Stopping - But When?", 1998: GL, PQ and UP."""

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
from ..metric import Mode, MonitoredMetric
from .arguments import check_count, check_metrics, check_mode, check_number, written
from .base import StopCondition
from .measured import Measured, Reading
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


def generalization_loss(metric: str, alpha: float = 5.0) -> StopCondition:
    """``GL``: true when a loss lies more than ``alpha`` percent above its lowest value so far.

    ``GL(t) = 100 * (E(t) / E_opt(t) - 1) > alpha``, with ``E_opt(t)`` the lowest loss up to ``t``. Nothing
    is decided where that has no meaning: a lowest loss below 0, NaN. Source: Prechelt, "Early Stopping -
    But When?", 1998, who tries 1, 2, 3 and 5.

    Args:
        metric: The validation loss: a metric whose best value is 0, or well above it.
        alpha: How many percent are borne, 0 or more.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If ``alpha`` is out of range; when it is asked of a run whose metric is better when it
            is higher.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> history = MetricHistory()
        >>> for epoch, loss in enumerate([0.50, 0.40, 0.43]):
        ...     history = history.append(epoch, {"val_loss": loss})
        >>> generalization_loss("val_loss", alpha=5).run(State({"history": history}))
        {'PROCEED': True}
    """
    call = written("generalization_loss", [str(metric)], alpha=alpha)
    check_metrics(call, metric)
    check_number(call, "alpha", alpha, at_least=0, rule="0 or more, in percent")

    def statistic(mode: Mode) -> GeneralizationLoss:
        _refuse_scores(call, metric, mode)
        return GeneralizationLoss(metric)

    def say(found: Reading) -> str:
        if math.isnan(found.number):
            return f"{found.newest} cannot be put in percent of the lowest loss"
        best = found.history.progress(metric, "min")
        lowest = f"{best.best:.4g} (epoch {best.best_epoch})"
        return f"{found.newest} is {found.number:.4g} % above the lowest, {lowest}"

    return Measured(call, [metric], None, statistic, lambda loss, mode: loss > alpha, say, turns=False)


def progress_quotient(
    train_metric: str, val_metric: str, alpha: float = 1.0, strip: int = 5
) -> StopCondition:
    """``PQ``: true when the generalization loss is more than ``alpha`` times the training's progress.

    ``PQ(t) = GL(t) / P_k(t) > alpha``, with ``GL`` as in `generalization_loss` and the progress
    ``P_k(t) = 1000 * (mean / lowest - 1)`` of the last ``k = strip`` training losses. It is taken at the
    first validation after each ``k`` training losses, and holds until the next. Training that stands
    still (``P_k = 0``) makes any generalization loss too much. Source: Prechelt, "Early Stopping - But
    When?", 1998, who tries 0.5, 0.75, 1, 2 and 3 with strips of 5.

    Args:
        train_metric: The training loss, logged once per epoch; with one value per step, a strip is ``k``
            checks all the same.
        val_metric: The validation loss.
        alpha: How many times the progress is borne, 0 or more.
        strip: How many training losses make a strip, 2 or more.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If an argument is out of range; when it is asked of a run whose metric is better when it
            is higher.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> history = MetricHistory()
        >>> for epoch, (train, val) in enumerate([(0.5, 0.6), (0.5, 0.5), (0.5, 0.5), (0.499, 0.7)]):
        ...     history = history.append(epoch, {"train_loss": train, "val_loss": val})
        >>> progress_quotient("train_loss", "val_loss", strip=2).run(State({"history": history}))
        {'PROCEED': True}
    """
    call = written("progress_quotient", [str(train_metric), str(val_metric)], alpha=alpha, strip=strip)
    check_metrics(call, train_metric, val_metric)
    check_number(call, "alpha", alpha, at_least=0, rule="0 or more")
    check_count(call, "strip", strip, 2, "training losses")

    def statistic(mode: Mode) -> ProgressQuotient:
        _refuse_scores(call, val_metric, mode)
        return ProgressQuotient(train_metric, val_metric, strip)

    def say(found: Reading) -> str:
        if math.isnan(found.number):
            return (
                f"no strip of {strip} finite losses above 0, with a validation loss of 0 or more, is over yet"
            )
        return f"the generalization loss is {found.number:.4g} times the progress of the training"

    metrics = [train_metric, val_metric]
    return Measured(call, metrics, None, statistic, lambda quotient, mode: quotient > alpha, say, turns=False)


def consecutive_increases(
    metric: str, times: int = 3, strip: int = 5, mode: Mode | None = None
) -> StopCondition:
    """``UP_s``: true once a metric was worse at the ends of ``times`` strips in a row.

    With ``k = strip``, ``UP_1`` holds at the end ``t`` of a strip where ``E(t) > E(t - k)``, and ``UP_s``
    where ``UP_{s-1}`` held at ``t - k`` too; between two ends it stays as it was. Source: Prechelt,
    "Early Stopping - But When?", 1998, who tries 2, 3, 4, 6 and 8 with strips of 5. With ``strip=1`` it
    counts rises from check to check.

    Args:
        metric: The validation loss, or any metric.
        times: How many strips in a row, 1 or more.
        strip: How many checks of the metric make a strip, 1 or more.
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
        >>> for epoch, loss in enumerate([0.5, 0.4, 0.41, 0.44]):
        ...     history = history.append(epoch, {"val_loss": loss})
        >>> consecutive_increases("val_loss", times=2, strip=1).run(State({"history": history}))
        {'PROCEED': True}
    """
    call = written("consecutive_increases", [str(metric)], mode, times=times, strip=strip)
    check_metrics(call, metric)
    check_count(call, "times", times, 1, "strips")
    check_count(call, "strip", strip, 1, "checks")
    check_mode(call, mode)

    def say(found: Reading) -> str:
        ends = int(found.number)
        return f"worse at {ends} end{'' if ends == 1 else 's'} of a strip in a row"

    return Measured(
        call,
        [metric],
        mode,
        lambda mode: ConsecutiveIncreases(MonitoredMetric(metric, mode), strip),
        lambda increases, mode: increases >= times,
        say,
    )


def _refuse_scores(call: str, metric: str, mode: Mode) -> None:
    if mode == "max":
        raise ValueError(
            f"{call}: {metric} is better when it is higher, and this criterion compares losses by their "
            f"ratio. Give it a loss, or use plateau or consecutive_increases."
        )
