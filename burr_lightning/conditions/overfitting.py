"""Overfitting: the training goes on getting better while the validation does not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..improvements import improved, newest_of
from ..logged import Logged
from ..metric import Mode, MonitoredMetric
from .arguments import check_count, check_metrics, check_mode, checked_number, written
from .base import StopCondition
from .measured import Measured, Reading


@dataclass(frozen=True)
class SinceBestWhileTrainingImproved:
    """A statistic: checks of a validation metric after its best one, negative where training is no better.

    Training is compared with its value at the best validation, or with the next one where none was
    logged by then.
    """

    train: MonitoredMetric
    val: MonitoredMetric
    min_delta: float

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it is taken of."""
        return (self.train.name, self.val.name)

    def values(self, logged: Iterable[tuple[Any, ...]]) -> Iterator[float]:
        """One count for each check; NaN while one of the two was not logged."""
        best, since, checked = self.val.worst, 0, False
        newest_train: float | None = None
        train_at_best: float | None = None
        for _, train, val in logged:
            newest_train = newest_train if train is None or math.isnan(train) else train
            if val is not None:
                checked, since = True, since + 1
                if self.val.improves(val, over=best, min_delta=self.min_delta):
                    best, since, train_at_best = val, 0, newest_train
            train_at_best = newest_train if train_at_best is None else train_at_best
            if not checked or newest_train is None or train_at_best is None:
                yield math.nan
            else:
                yield since if self.train.improves(newest_train, over=train_at_best) else -since

    def over(self, logged: Logged) -> NDArray[Any]:
        """The same counts, over columns."""
        train, val = logged.values
        count = len(train)
        trained = np.flatnonzero(~np.isnan(train))
        validated = np.flatnonzero(logged.there[1])
        if not len(trained) or not len(validated):
            return np.full(count, math.nan)
        best = newest_of(validated[improved(self.val, val[validated], self.min_delta)], count)
        checks: NDArray[np.int64] = np.cumsum(logged.there[1])
        since = checks - np.where(best >= 0, checks[best], 0)
        newest = train[newest_of(trained, count)]
        at_best = newest[np.maximum(best, trained[0])]
        found = np.array(np.where(self.train.is_worse(at_best, newest), since, -since), dtype=np.float64)
        found[: max(trained[0], validated[0])] = math.nan
        return found


def overfitting(
    train_metric: str,
    val_metric: str,
    patience: int = 3,
    min_delta: float = 0.0,
    mode: Mode | None = None,
) -> StopCondition:
    """True once the validation has not improved for ``patience`` checks, and the training has meanwhile.

    With ``b`` the best validation so far, as in `plateau`: ``patience`` or more validations lie after
    ``b``, and the newest training value is better than the one at ``b``. Unlike `plateau` it lets a run
    go on that has stalled altogether. A training value that is NaN counts as not logged.

    Args:
        train_metric: The metric of the training, as ``"train_loss"``.
        val_metric: The same metric of the validation.
        patience: How many validations without improvement are borne, 1 or more.
        min_delta: By how much a validation must beat the best one to count, in the metric's unit,
            0 or more.
        mode: ``"min"`` or ``"max"``, for both; ``None`` takes the direction that the validation metric
            declares, else that of the run's monitored metric where it is this one, else ``"min"``.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> history = MetricHistory()
        >>> for epoch, (train, val) in enumerate([(0.9, 0.9), (0.5, 0.7), (0.3, 0.8), (0.2, 0.9)]):
        ...     history = history.append(epoch, {"train_loss": train, "val_loss": val})
        >>> overfitting("train_loss", "val_loss", patience=2).run(State({"history": history}))
        {'PROCEED': True}
    """
    metrics = [train_metric, val_metric]
    call = written(
        "overfitting", [str(m) for m in metrics], mode, patience=patience, min_delta=min_delta or None
    )
    check_metrics(call, *metrics)
    check_count(call, "patience", patience, 1, "validations")
    min_delta = checked_number(call, "min_delta", min_delta, at_least=0, rule="0 or more")
    check_mode(call, mode)

    def statistic(mode: Mode) -> SinceBestWhileTrainingImproved:
        train, val = (MonitoredMetric(metric, mode) for metric in metrics)
        return SinceBestWhileTrainingImproved(train, val, min_delta)

    def say(found: Reading) -> str:
        progress = found.history.progress(val_metric, found.metric.mode, min_delta)
        since = progress.checks_since_best
        text = f"no improvement of {val_metric} on {progress.best:.4g} (epoch {progress.best_epoch})"
        if progress.best_epoch < 0:
            text = f"no value of {val_metric} to improve on"
        improved = "improved" if found.number > 0 else "did not improve"
        meanwhile = f", while {train_metric} {improved}" if since else ""
        return f"{text} for {since} check{'' if since == 1 else 's'}{meanwhile}"

    return Measured(call, metrics, mode, statistic, lambda since, mode: since >= patience, say)
