"""In which direction a condition reads its metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..metric import Mode

ASSUMED = ", read with mode='min': the metric declares no direction"
"""What an explanation adds where nobody gave the direction."""
_LOSSES = ("loss", "err", "mse", "mae", "nll", "perplexity")
"""Names of metrics that are losses; of those nobody wonders."""


def hint(metric: str, assumed: bool) -> str:
    """What is said of the direction: nothing where it is known, or is what the name says."""
    return ASSUMED if assumed and not any(word in metric.lower() for word in _LOSSES) else ""


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
