"""The stop criteria of Prechelt, "Early Stopping - But When?", 1998: GL, PQ and UP."""

from __future__ import annotations

import math

from ..metric import Mode, MonitoredMetric
from .arguments import check_count, check_metrics, check_mode, checked_number, written
from .base import StopCondition
from .measured import Measured, Reading
from .strips import ConsecutiveIncreases, GeneralizationLoss, ProgressQuotient


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
    alpha = checked_number(call, "alpha", alpha, at_least=0, rule="0 or more, in percent")

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
    alpha = checked_number(call, "alpha", alpha, at_least=0, rule="0 or more")
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
