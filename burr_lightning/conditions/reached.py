"""Limits on a metric's newest value: it is as good as was asked for, worse than is borne, not a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..metric import Mode, MonitoredMetric, in_precision_of
from .arguments import apart, check_metrics, check_mode, checked_number, written
from .base import StopCondition
from .measured import Measured, Newest, Reading

_REACHED: Mapping[tuple[Mode, bool], str] = {
    ("min", True): "<=",
    ("min", False): ">",
    ("max", True): ">=",
    ("max", False): "<",
}
_DIVERGED: Mapping[tuple[Mode, bool], str] = {
    ("min", True): ">",
    ("min", False): "<=",
    ("max", True): "<",
    ("max", False): ">=",
}


def reached(metric: str, target: float, mode: Mode | None = None) -> StopCondition:
    """True when the newest value of a metric is at a target or better.

    ``value <= target`` where lower is better, ``value >= target`` where higher is; NaN reaches nothing.
    (The ``stopping_threshold`` of Lightning's ``EarlyStopping`` has to be passed: ``<`` and ``>``.) A value
    that 32 bits hold, as most are logged, is compared with the target in 32 bits: an accuracy of exactly
    nine tenths reaches 0.9.

    Args:
        metric: The metric's name.
        target: The value to reach, in the metric's unit.
        mode: ``"max"`` where the metric has to rise to the target, ``"min"`` where it has to fall;
            ``None`` takes the direction that the metric itself declares (a torchmetrics metric that
            was logged as an object does), else that of the run's monitored metric where it is this
            one, else ``"min"``.

    Returns:
        A Burr condition that reads ``history``. Its explanation says where the direction had to be
        assumed: an accuracy that is logged as a plain number needs ``mode="max"``.

    Raises:
        ValueError: If ``mode`` is neither, or ``target`` is NaN.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> state = State({"history": MetricHistory().append(0, {"val_acc": 0.97})})
        >>> reached("val_acc", 0.98, mode="max").run(state)
        {'PROCEED': False}
    """
    return _limit("reached", metric, "target", target, mode, _REACHED, MonitoredMetric.reaches)


def diverged(metric: str, threshold: float, mode: Mode | None = None) -> StopCondition:
    """True when the newest value of a metric is worse than a threshold.

    ``value > threshold`` where lower is better, ``value < threshold`` where higher is; NaN is not
    (`not_finite` is). The threshold is read in 32 bits where the value was logged so, as in `reached`.
    Source: the ``divergence_threshold`` of Lightning's ``EarlyStopping``.

    Args:
        metric: The metric's name.
        threshold: The worst value that is borne, in the metric's unit.
        mode: ``"min"`` or ``"max"``; ``None`` as in `reached`.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If ``mode`` is neither, or ``threshold`` is NaN.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> state = State({"history": MetricHistory().append(0, {"train_loss": 41.0})})
        >>> diverged("train_loss", 10.0).run(state)
        {'PROCEED': True}
    """
    return _limit("diverged", metric, "threshold", threshold, mode, _DIVERGED, MonitoredMetric.is_worse)


def not_finite(metric: str) -> StopCondition:
    """True when the newest value of a metric is NaN or infinite.

    Source: ``check_finite`` of Lightning's ``EarlyStopping``, which is on there unless it is turned off.

    Args:
        metric: The metric's name.

    Returns:
        A Burr condition that reads ``history``.

    Raises:
        ValueError: If ``metric`` is no name.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> state = State({"history": MetricHistory().append(0, {"train_loss": float("nan")})})
        >>> not_finite("train_loss").run(state)
        {'PROCEED': True}
    """
    call = written("not_finite", [str(metric)])
    check_metrics(call, metric)
    return Measured(
        call,
        [metric],
        "min",
        lambda mode: Newest(metric),
        lambda value, mode: ~np.isfinite(value),
        lambda found: f"{found.newest} is {'not ' if found.holds else ''}finite",
        nan_decides=True,
    )


def _limit(
    function: str,
    metric: str,
    argument: str,
    limit: float,
    mode: Mode | None,
    signs: Mapping[tuple[Mode, bool], str],
    compare: Callable[[MonitoredMetric, Any, float], Any],
) -> StopCondition:
    call = written(function, [str(metric)], mode, limits=[limit])
    check_metrics(call, metric)
    limit = checked_number(call, argument, limit, rule="a number, and not NaN")
    check_mode(call, mode)

    def say(found: Reading) -> str:
        epoch, value = found.history.latest(metric)
        sign = "is no match for" if math.isnan(value) else signs[found.metric.mode, bool(found.holds)]
        one, other = apart(value, float(in_precision_of(value, limit)))
        return f"{one} {sign} {other} (epoch {epoch})"

    def holds(value: Any, mode: Mode) -> Any:
        return compare(MonitoredMetric(metric, mode), value, in_precision_of(value, limit))

    return Measured(call, [metric], mode, lambda mode: Newest(metric), holds, say, nan_decides=True)
