"""In which direction a condition reads its metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..metric import Mode

ASSUMED = ", read with mode='min': the metric declares no direction"
"""What an explanation adds where nobody gave the direction."""


def direction_of(
    metric: str, mode: Mode | None, directions: Mapping[str, Mode], monitor: Mapping[str, Any] | None
) -> tuple[Mode, bool]:
    """The direction to read a metric in, and whether it had to be assumed.

    Args:
        metric: The metric.
        mode: What the condition was given.
        directions: What metrics declare themselves.
        monitor: The run's monitored metric with the direction that the user gave for it.
    """
    given = mode or directions.get(metric)
    if given is None and monitor is not None and monitor["metric"] == metric:
        given = monitor["mode"]
    return (given, False) if given else ("min", True)
