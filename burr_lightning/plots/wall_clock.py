"""The axis of a timeline: the wall clock, on which long breaks are drawn shorter than they were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .spent import BREAKS, Stretch

_FEWEST = 6
_UNITS = ((172_800.0, 86_400.0, "days"), (7_200.0, 3_600.0, "hours"), (120.0, 60.0, "minutes"))
_NICE = (1.0, 2.0, 5.0)


@dataclass(frozen=True)
class Placed:
    """A stretch on the axis, in seconds of it."""

    stretch: Stretch
    at: float
    width: float

    @property
    def is_cut(self) -> bool:
        """Whether it is drawn shorter than it was."""
        return self.width < self.stretch.seconds


def placed(stretches: Sequence[Stretch]) -> list[Placed]:
    """Where stretches lie. Breaks are cut to the same width, together at most half of all the rest."""
    found, at = [], 0.0
    longest = _longest_break(stretches)
    for stretch in stretches:
        width = min(stretch.seconds, longest) if stretch.kind in BREAKS else stretch.seconds
        found.append(Placed(stretch, at, width))
        at += width
    return found


def _longest_break(stretches: Sequence[Stretch]) -> float:
    breaks = [part.seconds for part in stretches if part.kind in BREAKS]
    busy = sum(part.seconds for part in stretches) - sum(breaks)
    return busy / (2 * max(len(breaks), _FEWEST)) if sum(breaks) > busy / 2 and busy else float("inf")


def unit_of(parts: Sequence[Placed]) -> tuple[float, str]:
    """The unit of the axis, in seconds and in words.

    Example:
        >>> unit_of([])
        (1.0, 'seconds')
    """
    uncut = _uncut(parts)
    return next(((size, name) for least, size, name in _UNITS if uncut >= least), (1.0, "seconds"))


def ticks(parts: Sequence[Placed], unit: float, most: int = 8) -> list[tuple[float, float]]:
    """Round times without the cut breaks, and where they lie.

    Args:
        parts: All stretches.
        unit: In which the times are, in seconds.
        most: How many ticks, at most.

    Returns:
        The place on the axis in seconds, and the time in the unit.
    """
    uncut = _uncut(parts) / unit
    step = _round_step(uncut / most)
    return [(_place(parts, number * step * unit), number * step) for number in range(int(uncut / step) + 1)]


def _uncut(parts: Sequence[Placed]) -> float:
    return sum(part.width for part in parts if not part.is_cut)


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5, times a power of ten, that is not less.

    Example:
        >>> [_round_step(least) for least in (0.03, 1.0, 37.0)]
        [0.05, 1.0, 50.0]
    """
    if least <= 0:
        return 1.0
    power = 1e-6
    while power * _NICE[-1] < least:
        power *= 10
    return round(next(power * nice for nice in _NICE if power * nice >= least), 9)


def _place(parts: Sequence[Placed], uncut: float) -> float:
    """Where a time without the cut breaks lies."""
    left = uncut
    for part in parts:
        if part.is_cut:
            continue
        if left <= part.width:
            return part.at + left
        left -= part.width
    return parts[-1].at + parts[-1].width if parts else 0.0
