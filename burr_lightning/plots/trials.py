"""What the figures of a search are drawn from, and how each fate of a trial looks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

from ..metric import Mode
from .groups import spans_magnitudes
from .style import BLUE, GRAY, GREEN, ORANGE, VERMILLION

Fate = Literal["finished", "pruned", "failed", "running", "waiting"]
"""How a trial stands."""

MARKS: dict[Fate, dict[str, Any]] = {
    "finished": {"color": BLUE, "marker": "o", "markeredgecolor": BLUE},
    "pruned": {"color": ORANGE, "marker": "D", "markerfacecolor": "white"},
    "failed": {"color": VERMILLION, "marker": "x"},
    "running": {"color": GREEN, "marker": ">"},
    "waiting": {"color": GRAY, "marker": "|"},
}
"""The mark of a trial."""
STAR: dict[str, Any] = {
    "color": BLUE,
    "marker": "*",
    "markersize": 12,
    "markeredgecolor": "black",
    "markeredgewidth": 0.6,
    "linestyle": "none",
    "zorder": 6,
}
"""The mark of the best one."""
_MANY = 200
"""Trials from which on marks are smaller."""
_FAR, _NEAR = 20.0, 8.0
"""How many times as far from the best value as the median is: what is farther than the first one is cut off
at the second one."""

_TWO_POWERS = 100.0
_KEPT = 0.8
"""The share of the values that an axis shows at least, about."""
_APART = 0.09
"""The share of an axis that lies between two of its ticks."""


@dataclass(frozen=True)
class Tried:
    """What is drawn of one trial."""

    number: int
    """0-based."""
    fate: Fate
    params: Mapping[str, Any] = field(default_factory=dict)
    values: tuple[float, ...] | None = None
    """One for each direction, ``None`` where it came to nothing."""


@dataclass(frozen=True)
class Objective:
    """One of the values that a search is about."""

    name: str
    mode: Mode
    """Whether lower or higher is better."""


@dataclass(frozen=True)
class Parameter:
    """One of the parameters that are searched."""

    name: str
    log: bool = False
    """Whether its magnitude is what is searched."""
    choices: tuple[str, ...] | None = None
    """What can be chosen, in words; ``None`` for numbers."""

    def at(self, value: Any) -> float:
        """Where a value lies on its axis, NaN where it lies nowhere.

        Example:
            >>> Parameter("kind", choices=("sgd", "adam")).at("adam"), Parameter("lr").at(0.1)
            (1.0, 0.1)
        """
        if self.choices is not None:
            return float(self.choices.index(str(value))) if str(value) in self.choices else math.nan
        is_number = isinstance(value, (int, float)) and math.isfinite(value)
        return float(value) if is_number and (value > 0 or not self.log) else math.nan


def parameters_of(tried: Sequence[Tried], known: Sequence[Parameter] = ()) -> list[Parameter]:
    """The parameters that trials have; of those that nobody knows, what their values look like.

    Args:
        tried: The trials.
        known: What is known of some.

    Example:
        >>> tried = [Tried(0, "finished", {"lr": 0.1, "kind": "sgd"}, (0.9,))]
        >>> [(parameter.name, parameter.choices) for parameter in parameters_of(tried)]
        [('lr', None), ('kind', ('sgd',))]
    """
    given: dict[str, list[Any]] = {parameter.name: [] for parameter in known}
    for trial in tried:
        for name, value in trial.params.items():
            given.setdefault(name, []).append(value)
    declared = {parameter.name: parameter for parameter in known}
    return [declared.get(name) or _guessed(name, values) for name, values in given.items()]


def _guessed(name: str, values: Sequence[Any]) -> Parameter:
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return Parameter(name, spans_magnitudes(values))
    return Parameter(name, choices=tuple(dict.fromkeys(map(str, values))))


def best_of(tried: Iterable[Tried], modes: Sequence[Mode]) -> Tried | None:
    """The best trial that has finished; ``None`` while there is none, and with several directions."""
    finished = [trial for trial in tried if trial.fate == "finished" and trial.values is not None]
    if len(modes) != 1 or not finished:
        return None
    sign = 1 if modes[0] == "min" else -1
    return min(finished, key=lambda trial: sign * trial.values[0] if trial.values else math.inf)


@dataclass(frozen=True)
class Extent:
    """What an axis of values shows."""

    low: float
    high: float
    log: bool = False
    mode: Mode = "min"

    @property
    def edge(self) -> float:
        """Where what is cut off is drawn."""
        return self.high if self.mode == "min" else self.low

    def shows(self, value: float) -> bool:
        """Whether a value is neither cut off nor infinite."""
        return math.isfinite(value) and self.low <= value <= self.high


def extent_of(values: Iterable[float], mode: Mode) -> Extent:
    """What an axis shows of values: all, unless some are so bad that the others could not be told apart.

    Low values above 0 are then told apart by their magnitudes; else about the worst fifth is cut off at most.

    Args:
        values: All of them.
        mode: Whether lower or higher is better.

    Example:
        >>> extent_of([1.0, 2.0, 3.0, -1.0, 1e6], "min").high
        3.0
        >>> extent_of([0.10, 0.11, 0.12, 0.13, 9.0], "min").log
        True
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return Extent(0.0, 1.0, mode=mode)
    if spans_magnitudes(finite):
        return Extent(min(finite), max(finite), log=True, mode=mode)
    best, worst = (min(finite), max(finite)) if mode == "min" else (max(finite), min(finite))
    spread = abs(median(finite) - best)
    if spread and abs(worst - best) > _FAR * spread:
        if mode == "min" and best > 0:
            return Extent(best, worst, log=True, mode=mode)
        far = sorted(abs(value - best) for value in finite)
        most = max(_NEAR * spread, far[max(int(_KEPT * len(far)), 1) - 1])
        kept = [value for value in finite if abs(value - best) <= most]
        return Extent(min(kept), max(kept), mode=mode)
    return Extent(min(finite), max(finite), mode=mode)


def mark_look(fate: Fate, trials: int) -> dict[str, Any]:
    """How a trial of a fate is marked, among so many."""
    size = 4.2 if trials <= _MANY else 2.6
    width = 1.1 if trials <= _MANY else 0.7
    return {"linestyle": "none", "markersize": size, "markeredgewidth": width, **MARKS[fate]}


def set_extent(axis: Any, extent: Extent) -> None:
    """Have an axis show that much, upwards, with some air around it."""
    if extent.log:
        axis.set_yscale("log")
        air = (extent.high / extent.low) ** 0.06
        axis.set_ylim(extent.low / air, extent.high * air)
        if extent.high < _TWO_POWERS * extent.low:  # there may be no power of ten to be marked
            marked = round_ticks(extent.low, extent.high, log=True)
            axis.set_yticks(marked, [f"{value:.3g}" for value in marked])
        axis.tick_params(axis="y", which="minor", labelleft=False)
        return
    air = 0.06 * (extent.high - extent.low) or 0.5 * abs(extent.high) or 0.5
    axis.set_ylim(extent.low - air, extent.high + air)


def round_ticks(low: float, high: float, *, log: bool, whole: bool = False) -> list[float]:
    """Round values between two others, and these two as well where nothing round is near them.

    Args:
        low: The lower one.
        high: The higher one.
        log: Whether magnitudes are what is looked at.
        whole: Whether values in between whole numbers make no sense.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    if low == high:
        return [low]
    magnitudes = log and high >= 10 * low
    locator = LogLocator(numticks=7) if magnitudes else MaxNLocator(nbins=5, integer=whole)
    found = [float(value) for value in locator.tick_values(low, high) if low <= value <= high]

    def apart(one: float, other: float) -> bool:
        length = math.log(high / low) if log else high - low
        return abs(math.log(one / other) if log else one - other) > _APART * length

    ends = [end for end in (low, high) if all(apart(end, value) for value in found)]
    return sorted([*found, *ends])
