"""What all figures share: colors, lines and marks that a color-blind reader and a gray print tell apart.

The colors are those of Okabe and Ito, "Color Universal Design", https://jfly.uni-koeln.de/color/. Its yellow
is left out, which is too pale for a line on white paper. No color stands alone: every line has a dash and
every mark a shape of its own beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from ..errors import MissingExtraError

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
GRAY, PALE = "#595959", "#D9D9D9"
FAILED = VERMILLION
"""What failed; in a band of actions nothing else has this color."""
LINES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
PALETTE = frozenset({*LINES, GRAY, PALE})
"""Every color that a figure may use, beside white."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)))
MARKERS = "os^Dv<>"

WIDTH = 7.2
"""Inches, the text of a printed page: a figure is printed as large as it is drawn, and its texts as well."""
DOTS = 150
"""Of a picture, per inch."""
SMALL, TEXT, TITLE = 7.5, 8.5, 9.5
"""Points."""
_HANDLE, _LETTER = 0.75, TEXT * 0.56 / 72
"""Inches of a legend that the sample of a line takes with the space around it, and a letter on average."""
_BESIDE_AXIS = WIDTH - 2.6
"""Inches that such a legend has."""
_LONGEST = 48
"""Letters of a name in the legend above an axis."""
LABEL = 22
"""Letters of a name beside an axis."""
_MARKED = 40
"""Epochs, of which each point of a curve has its mark."""


def new_figure(call: str, height: float) -> Any:
    """An empty figure.

    Args:
        call: What the user wrote, for errors.
        height: Inches.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError(call, "matplotlib", "plot") from error
    return Figure(figsize=(WIDTH, height), layout="constrained")


def line_look(number: int) -> dict[str, Any]:
    """How the line of a number looks; 35 numbers look different.

    Example:
        >>> line_look(0)["color"] == line_look(7)["color"]
        True
        >>> line_look(0)["linestyle"] == line_look(7)["linestyle"]
        False
    """
    color, round_ = number % len(LINES), number // len(LINES)
    dash = DASHES[(color + round_) % len(DASHES)]
    return {"color": LINES[color], "linestyle": dash, "marker": MARKERS[color]}


def every(points: int, number: int) -> Any:
    """Which points of a curve are marked: where there are many, some of them, and of each curve others."""
    step = max(1, points // _MARKED * 2)
    return (number * max(1, step // 3) % step, step)


def shortened(text: str, length: int = LABEL) -> str:
    """A text that is no longer than that: its beginning and its end.

    Example:
        >>> shortened("20260101-120000-learning-rate-0.01", 21)
        '20260101-1…-rate-0.01'
    """
    if len(text) <= length:
        return text
    ahead = length // 2
    return f"{text[:ahead]}…{text[len(text) - (length - ahead - 1) :]}"


def plain(text: Any) -> Any:
    """A text of a figure that is shown as it is: names may have signs in them that stand for mathematics."""
    text.set_parse_math(False)
    return text


def above(axis: Any, lines: Mapping[str, Any]) -> None:
    """The legend of an axis, above it, where no curve is.

    Args:
        axis: The axis.
        lines: Its lines, by what they are called; matplotlib would hide those that begin with an underscore.
    """
    if not lines:
        return
    fitting = columns([shortened(name, _LONGEST) for name in lines], _BESIDE_AXIS)
    legend = axis.legend(
        list(lines.values()),
        [str(number) for number in range(len(lines))],
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=fitting,
        fontsize=TEXT,
        frameon=False,
        borderaxespad=0.1,
        columnspacing=1.2,
        handlelength=3,
    )
    for text, name in zip(legend.get_texts(), lines, strict=True):
        plain(text).set_text(shortened(name, _LONGEST))


def rows_above(names: Sequence[str]) -> int:
    """How many rows the legend that `above` draws has."""
    return math.ceil(len(names) / columns([shortened(name, _LONGEST) for name in names], _BESIDE_AXIS))


def columns(names: Sequence[str], width: float) -> int:
    """How many columns of a legend fit side by side, as matplotlib fills them: one after another.

    Args:
        names: What stands in it.
        width: Inches that there are for it.

    Example:
        >>> columns(["val_loss", "train_loss"], 6.0), columns(["x" * 60, "y" * 60], 6.0)
        (2, 1)
    """
    wide = [_HANDLE + len(name) * _LETTER for name in names]
    for count in range(len(names), 1, -1):
        rows, longer = divmod(len(names), count)
        ends = list(accumulate(rows + (column < longer) for column in range(count)))
        if sum(max(wide[a:b]) for a, b in zip([0, *ends], ends, strict=False)) <= width:
            return count
    return 1


def light_grid(axis: Any, along: str = "both") -> None:
    """Lines behind the data."""
    axis.grid(axis=along, color=PALE, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=TEXT)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def whole_epochs(axis: Any) -> None:
    """Ticks at epochs, and between none."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
