"""Which metrics share an axis, and how that axis is scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..history import MetricHistory


def groups_of(history: MetricHistory) -> dict[str, list[str]]:
    """The metrics by what they measure: ``train_loss`` and ``val_loss`` share an axis."""
    groups: dict[str, list[str]] = {}
    for name in names_of(history):
        groups.setdefault(name.rsplit("_", 1)[-1], []).append(name)
    return groups or {"metrics": []}


def names_of(history: MetricHistory) -> list[str]:
    """The metrics, without what Lightning logs a second time under ``_step`` and ``_epoch``."""
    return [name for name in history.names if not name.endswith(("_step", "_epoch"))]


def spans_magnitudes(values: Sequence[float]) -> bool:
    """Whether a linear axis would show the largest values and nothing of the others."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > 1000 * min(finite)


def logged(history: MetricHistory, name: str) -> tuple[list[int], list[float]]:
    """The epochs in which a metric has a finite value, and these values.

    What was not logged in an epoch reads as NaN: a curve goes on to the next epoch in which it was.
    """
    pairs = [(epoch, value) for epoch, value in enumerate(history[name]) if math.isfinite(value)]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]
