"""The one place that knows which of two values of a metric is better, and what a missing one is."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Mode = Literal["min", "max"]


@dataclass(frozen=True)
class MonitoredMetric:
    """A metric and the direction in which it gets better.

    Args:
        name: The name it is logged under.
        mode: ``"min"`` when lower is better, ``"max"`` when higher is.

    Raises:
        ValueError: If ``mode`` is neither.

    Example:
        >>> loss = MonitoredMetric("val_loss", "min")
        >>> loss.improves(0.5, over=0.7), loss.improves(0.5, over=0.7, min_delta=0.2)
        (True, False)
        >>> loss.improves(float("nan"), over=0.7)
        False
    """

    name: str
    mode: Mode = "min"

    def __post_init__(self) -> None:
        checked_mode(self.mode, f"MonitoredMetric({self.name!r})")

    @property
    def worst(self) -> float:
        """The value that every number improves on."""
        return math.inf if self.mode == "min" else -math.inf

    def improves(self, value: float, *, over: float, min_delta: float = 0.0) -> bool:
        """Whether ``value`` is better than ``over`` by more than ``min_delta``; NaN never is.

        Values that 32 bits hold are reckoned with in 32 bits, as Lightning does with what was logged so.
        """
        if not min_delta:
            return value < over if self.mode == "min" else value > over
        in_32_bits = _rounded(value) == value and _rounded(over) == over
        delta = _rounded(min_delta) if in_32_bits else min_delta
        bar = value + delta if self.mode == "min" else value - delta
        bar = _rounded(bar) if in_32_bits else bar
        return bar < over if self.mode == "min" else bar > over

    def reaches(self, value: Any, target: Any) -> Any:
        """Whether ``value`` is at ``target`` or better; NaN never is. It takes arrays too."""
        return value <= target if self.mode == "min" else value >= target

    def is_worse(self, value: Any, than: Any) -> Any:
        """Whether ``value`` is worse than another; NaN never is. It takes arrays too."""
        return value > than if self.mode == "min" else value < than


def _rounded(value: float) -> float:
    """A number as 32 bits hold it; several times faster than a NumPy scalar."""
    return array("f", (value,))[0]


def in_precision_of(value: Any, limit: float) -> Any:
    """A limit as it would be, had it been logged like a value: 0.9 in 32 bits lies below 0.9 in 64.

    Args:
        value: A number or an array; most metrics are logged in 32 bits.
        limit: What it is held against; it stays as it is where 32 bits do not reach so far.
    """
    rounded = _rounded(limit)
    if rounded == limit or math.isinf(rounded):
        return limit
    with np.errstate(over="ignore"):
        fits = np.asarray(value, dtype=np.float32).astype(np.float64) == value
    return np.where(fits, rounded, limit)[()]


def checked_mode(mode: object, asked_by: str) -> Mode:
    """``mode`` itself when it is one; the call is named in the error otherwise.

    Raises:
        ValueError: If ``mode`` is neither ``"min"`` nor ``"max"``.
    """
    if mode not in ("min", "max"):
        raise ValueError(f"{asked_by}: mode must be 'min' or 'max', not {mode!r}.")
    return mode
