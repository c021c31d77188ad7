"""In which direction a condition reads its metric."""

from __future__ import annotations

from ..history import MetricHistory
from ..metric import Mode


def direction_of(history: MetricHistory, metric: str, mode: Mode | None) -> tuple[Mode, bool]:
    """The direction to read a metric in, and whether it had to be assumed."""
    declared = mode or history.direction(metric)
    return (declared, False) if declared else ("min", True)
