"""Patience: a metric has not improved for some time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..improvements import SinceBest, improved, newest_of
from ..logged import Logged
from ..metric import Mode, MonitoredMetric
from .arguments import check_count, check_metrics, check_mode, checked_number, written
from .base import StopCondition
from .measured import Measured, Reading


@dataclass(frozen=True)
class EpochsSinceBest:
    """A statistic: from the epoch of a metric's best check to that of its newest.

    Until there is a best one, it counts from the epoch before its first check.
    """

    metric: MonitoredMetric
    min_delta: float = 0.0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that it is taken of."""
        return (self.metric.name,)

    def values(self, logged: Iterable[tuple[Any, ...]]) -> Iterator[float]:
        """One number of epochs for each epoch and value that was logged."""
        best, best_epoch = self.metric.worst, None
        for epoch, value in logged:
            if self.metric.improves(value, over=best, min_delta=self.min_delta):
                best, best_epoch = value, epoch
            elif best_epoch is None:
                best_epoch = epoch - 1
            yield epoch - best_epoch

    def over(self, logged: Logged) -> NDArray[Any]:
        """The same numbers, over columns."""
        (values,), epochs = logged.values, logged.epochs
        best = newest_of(improved(self.metric, values, self.min_delta), len(values))
        return epochs - np.where(best >= 0, epochs[best], epochs[:1] - 1)


def plateau(
    metric: str,
    patience: int = 3,
    min_delta: float = 0.0,
    mode: Mode | None = None,
    *,
    count: Literal["checks", "epochs"] = "checks",
) -> StopCondition:
    """True once a metric has not improved for ``patience`` checks in a row.

    A check is a validation pass or the end of an epoch at which the metric was logged, so a metric
    that is validated every third epoch is checked every third epoch. A value improves when it is better
    than the best one by more than ``min_delta`` (in 32 bits where both were logged so, as in Lightning); NaN
    never is. With ``n`` the number of checks after
    the best one, the condition is ``n >= max(patience, 1)``. Source: Lightning's ``EarlyStopping``
    (lightning.pytorch.callbacks.early_stopping, 2.6), whose count this is; a patience of 0 is one of 1
    there too. A metric of the training counts at each epoch's end, as with
    ``check_on_train_epoch_end=True`` there. Where Lightning's ``min_epochs`` is not met, ``EarlyStopping``
    remembers its wish to stop; this is asked again.

    Args:
        metric: The metric's name.
        patience: How many checks (or epochs) without improvement are borne, 0 or more.
        min_delta: By how much a value must beat the best one to count, in the metric's unit, 0 or more.
        mode: ``"min"`` or ``"max"``; ``None`` takes the direction that the metric itself declares
            (a torchmetrics metric that was logged as an object does), else that of the run's monitored
            metric where it is this one, else ``"min"``.
        count: ``"checks"``, as Lightning does, or ``"epochs"``: from the epoch of the best check to
            that of the newest one, whatever was checked in between.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> history = MetricHistory()
        >>> for epoch, loss in enumerate([0.9, 0.5, 0.6, 0.7]):
        ...     history = history.append(epoch, {"val_loss": loss})
        >>> plateau("val_loss", patience=2).run(State({"history": history}))
        {'PROCEED': True}
    """
    named_count = None if count == "checks" else count
    call = written(
        "plateau", [str(metric)], mode, patience=patience, min_delta=min_delta or None, count=named_count
    )
    check_metrics(call, metric)
    check_count(call, "patience", patience, 0, count if count == "epochs" else "checks")
    min_delta = checked_number(
        call, "min_delta", min_delta, at_least=0, rule="0 or more (the direction is mode's to say)"
    )
    check_mode(call, mode)
    if count not in ("checks", "epochs"):
        raise ValueError(f"{call}: count must be 'checks' or 'epochs'.")
    statistic = SinceBest if count == "checks" else EpochsSinceBest

    def say(found: Reading) -> str:
        progress = found.history.progress(metric, found.metric.mode, min_delta)
        since = int(found.number)
        duration = f"for {since} {count[:-1] if since == 1 else count}"
        if progress.best_epoch < 0:
            return f"no value to improve on {duration}"
        return f"no improvement on {progress.best:.4g} (epoch {progress.best_epoch}) {duration}"

    return Measured(
        call,
        [metric],
        mode,
        lambda mode: statistic(MonitoredMetric(metric, mode), min_delta),
        lambda since, mode: since >= max(patience, 1),
        say,
    )
