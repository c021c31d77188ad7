"""Where a metric was logged and was not finite: a gap in its line, and a mark in a strip at the edge."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .style import BLACK, PALE, every

_APART, _MOST = 0.08, 0.3
"""Heights that the marks of one line have in a strip, and that a strip has at most, in shares of the axis."""
_AIR = 0.04
"""Between a strip and the lines, and between it and its marks."""

Gaps = Sequence[tuple[Mapping[int, float], Mapping[str, Any]]]
"""Of each line the epochs in which its metric was not finite, with what was logged, and the line's look."""


def marked_points(values: Sequence[float], number: int) -> Any:
    """Which points of a line have their mark, as `every` says; and one between two gaps, which has no line.

    Args:
        values: The line, NaN for a gap.
        number: Its look.

    Example:
        >>> marked_points([1.0, 0.5, math.nan, 0.25], 0)
        [0, 1, 3]
    """
    begins, step = every(len(values), number)
    if not any(map(math.isnan, values)):
        return begins, step
    around = [math.nan, *values, math.nan]
    alone = {at for at, _ in enumerate(values) if math.isnan(around[at]) and math.isnan(around[at + 2])}
    return sorted(at for at in {*range(begins, len(values), step), *alone} if not math.isnan(values[at]))


def draw_gaps(axis: Any, gaps: Gaps) -> dict[str, Any]:
    """Mark the epochs in which metrics were not finite: infinities above all lines, all else below.

    The marks have the colors and the shapes of the lines' own, and are hollow. No value of the axis is where
    they stand; each line has a height of its own there, so that marks of one epoch hide none.

    Args:
        axis: The axis, with its lines drawn and its scale set.
        gaps: The lines.

    Returns:
        A sample for the legend, by what it says; empty where there is nothing to mark.
    """
    marked = [(not_finite, look) for not_finite, look in gaps if not_finite]
    logged = [value for not_finite, _ in marked for value in not_finite.values()]
    if not logged:
        return {}
    apart = min(_APART, _MOST / len(marked))
    strip = apart * len(marked) + _AIR
    room = strip + _AIR
    axis.margins(y=room / (1 - 2 * room))
    for edge in sorted({_edge(value) for value in logged}):
        axis.add_patch(_strip(axis, edge, strip))
    for row, (not_finite, look) in enumerate(marked):
        off = _AIR / 2 + apart * (row + 0.5)
        heights = [abs(_edge(value) - off) for value in not_finite.values()]
        where = axis.get_xaxis_transform()
        axis.plot(list(not_finite), heights, transform=where, label="_gaps", zorder=4, **_hollow(look))
    return {_in_words(logged): _sample()}


def _strip(axis: Any, edge: int, height: float) -> Any:
    from matplotlib.patches import Rectangle

    bottom = edge * (1 - height)
    return Rectangle((0, bottom), 1, height, transform=axis.transAxes, color=PALE, alpha=0.5, lw=0, zorder=0)


def _edge(value: float) -> int:
    """The edge that a value is marked at: 1 is the upper one."""
    return int(value == math.inf)


def _hollow(look: Mapping[str, Any]) -> dict[str, Any]:
    outline = {"markeredgewidth": 1.2, "markerfacecolor": "white", "markersize": 5, "linestyle": "none"}
    return {"color": look["color"], "marker": look["marker"], **outline}


def _sample() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], **_hollow({"color": BLACK, "marker": "o"}))


def _in_words(logged: Iterable[float]) -> str:
    """What the marks are, and where.

    Example:
        >>> _in_words([math.nan, math.inf, math.nan]), _in_words([-math.inf])
        ('NaN below, inf above', '-inf below')
    """
    kinds = {"NaN" if math.isnan(value) else str(value): _edge(value) for value in logged}
    sides = [
        (", ".join(sorted(kind for kind, at in kinds.items() if at == edge)), side)
        for edge, side in ((0, "below"), (1, "above"))
    ]
    return ", ".join(f"{names} {side}" for names, side in sides if names)
