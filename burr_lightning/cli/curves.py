"""Learning curves in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

from rich.console import Console

from ..questions import shown
from ..thinning import thinned

if TYPE_CHECKING:
    from ..history import MetricHistory
    from ..plots.groups import Curve

_HEIGHT = 12
_WIDEST, _MOST_TICKS = 100, 8
_MOST_POINTS = 1000
"""Points of a curve that are drawn: more than the widest picture has columns."""
_COLOURS = ("blue+", "orange+", "cyan+", "magenta+", "green+")


def curves(history: MetricHistory, monitor: str | None, to: Console, height: int = _HEIGHT) -> list[str]:
    """The monitored metric and those that measure the same, as lines of text; else what was logged first.

    Where a metric was logged and was not finite, its curve has a gap, and a line below says what it was.

    Args:
        history: The metrics.
        monitor: The monitored metric, ``None`` for none.
        to: Where they will be shown.
        height: How many lines they may take.
    """
    from ..plots.groups import curve_of, groups_of

    groups = [names for names in groups_of(history).values() if monitor is None or monitor in names]
    found = {name: curve_of(history, name) for name in groups[0]} if groups else {}
    drawn = {name: curve for name, curve in found.items() if curve.finite}
    below = _gaps(found, min(to.width, _WIDEST))
    colour = to.color_system is not None and not to.no_color
    size = min(to.width, _WIDEST), height - len(below)
    return [*(_drawn(drawn, len(history), size, colour=colour) if drawn else []), *below]


def _gaps(curves: Mapping[str, Curve], width: int) -> list[str]:
    """A line that says in which epochs metrics were not finite; none where all were."""
    from ..plots.groups import gaps_in_words

    said = [f"{shown(name)} {gaps_in_words(c.not_finite)}" for name, c in curves.items() if c.not_finite]
    line = f"not finite: {'; '.join(said)}"
    return [line if len(line) <= width else f"{line[: width - 1]}…"] if said else []


class DrawnCurves:
    """Curves that are drawn again where there is something new, and else given as they were."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._lines: list[str] = []

    def lines(self, history: MetricHistory, monitor: str | None, to: Console, height: int) -> list[str]:
        """What `curves` gives."""
        size = (to.width, height)
        if not self._of or self._of[0] is not history or self._of[1:] != size:
            self._of, self._lines = (history, *size), curves(history, monitor, to, height)
        return self._lines


def _drawn(drawn: Mapping[str, Curve], epochs: int, size: tuple[int, int], *, colour: bool) -> list[str]:
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")  # the terminal's own background
    plotext.plotsize(*size)
    for (name, curve), drawn_in in zip(drawn.items(), cycle(_COLOURS), strict=False):
        points_or_gaps = [None if math.isnan(value) else value for value in curve.values]
        at, kept = thinned(curve.epochs, points_or_gaps, _MOST_POINTS)
        points = [math.nan if value is None else value for value in kept]
        plotext.plot(at, points, label=shown(name), marker="braille", color=drawn_in)
    plotext.xticks(list(range(0, epochs, max(1, math.ceil(epochs / _MOST_TICKS)))))
    plotext.xlabel("epoch")
    lines = str(plotext.build()).rstrip().splitlines()
    return lines if colour else [plotext.uncolorize(line).rstrip() for line in lines]
