"""A target: a metric is as good as was asked for."""

from __future__ import annotations

from typing import Any

from burr.core import State

from ..metric import Mode, MonitoredMetric, checked_mode
from .base import StopCondition
from .direction import direction_of


def reached(metric: str, target: float, mode: Mode | None = None) -> StopCondition:
    """True when the newest value of a metric is at a target or better.

    Args:
        metric: The metric's name.
        target: The value to reach, in the metric's unit.
        mode: ``"max"`` where the metric has to rise to the target, ``"min"`` where it has to fall;
            ``None`` takes the direction that the metric itself declares (a torchmetrics metric that
            was logged as an object does), else ``"min"``.

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
    written = f"reached({metric}, {target:g}, mode={mode!r})" if mode else f"reached({metric}, {target:g})"
    if target != target:
        raise ValueError(f"{written}: NaN cannot be reached.")
    if mode is not None:
        checked_mode(mode, written)

    def check(state: State[Any]) -> tuple[bool | None, str]:
        history = state["history"]
        if metric not in history:
            return None, f"{metric} was not logged yet"
        direction, assumed = direction_of(history, metric, mode)
        epoch, value = history.latest(metric)
        met = MonitoredMetric(metric, direction).reaches(value, target)
        sign = {("min", True): "<=", ("min", False): ">", ("max", True): ">=", ("max", False): "<"}
        text = f"{value:.4g} {sign[direction, met]} {target:g} (epoch {epoch})"
        return met, text + (", read with mode='min': the metric declares no direction" if assumed else "")

    return StopCondition(written, ["history"], check, [metric])
