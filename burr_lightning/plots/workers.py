"""Where the time of each worker of a search went."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import fill
from typing import Any, Literal

from ..amounts import duration
from .spent import Stretch
from .style import (
    BLUE,
    GRAY,
    GREEN,
    LABEL,
    ORANGE,
    PALE,
    SMALL,
    TEXT,
    TITLE,
    VERMILLION,
    above,
    light_grid,
    new_figure,
    plain,
    shortened,
)
from .wall_clock import Placed, placed, ticks, unit_of

Outcome = Literal["finished", "pruned", "failed", "lost", "running"]

_LOOKS: dict[Outcome, tuple[str, str, str]] = {
    "finished": ("finished", BLUE, ""),
    "pruned": ("pruned", ORANGE, "////"),
    "failed": ("failed", VERMILLION, "xxxx"),
    "lost": ("lost with its worker", GRAY, "\\\\\\\\"),
    "running": ("running", GREEN, "...."),
}
"""What each is called, its color and its hatch."""
_SHORTEST_BREAK, _LEAST_BREAK = 0.05, 10.0
"""The share of all busy time, and the seconds, from which on a time without any trial is a break."""
_NARROWEST = 0.002
"""The share of the axis that a bar has at least."""
_MOST_ROWS = 40
"""Workers that all have their names."""
_AIR = 6
"""Pixels around a number in its bar."""


@dataclass(frozen=True)
class Bar:
    """What a worker did with a trial."""

    trial: int
    worker: str | None
    """Who it was, ``None`` where that is not known."""
    began: float
    """Seconds since 1970."""
    ended: float
    """Until now, for what is running."""
    outcome: Outcome


def plot_workers(title: str, bars: Sequence[Bar]) -> Any:
    """Each worker as a row, with the trials that it had.

    Trials whose worker is not known are in rows without a name, as few as they fit into. Long times in which
    nothing ran are drawn shorter than they were, and say how long they took.

    Args:
        title: What stands over the figure.
        bars: What workers did, in order.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> bars = [Bar(0, "a", 0.0, 9.0, "finished"), Bar(1, "b", 1.0, 4.0, "pruned")]
        >>> figure = plot_workers("digits", bars)
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['a', 'b']
    """
    rows = _rows(bars)
    row_height = 0.3 if len(rows) <= 12 else max(3.6 / len(rows), 0.14)
    figure = new_figure("plot_workers()", 1.3 + max(row_height * len(rows), 0.6))
    plain(figure.suptitle(fill(title, 92), fontsize=TITLE))
    axis = figure.subplots()
    if not bars:
        axis.set_axis_off()
        axis.text(0.5, 0.5, "No trial was begun yet.", ha="center", va="center", fontsize=TEXT)
        return figure
    parts = placed(_stretches(bars))
    length = parts[-1].at + parts[-1].width
    numbers = _draw(axis, rows, parts, length)
    _draw_breaks(axis, parts)
    _label(axis, rows, parts, length)
    _hide_what_does_not_fit(figure, axis, numbers)
    return figure


def _rows(bars: Sequence[Bar]) -> dict[str, list[Bar]]:
    """The workers in their natural order, and what each did; then rows of those that nobody knows."""
    found: dict[str, list[Bar]] = {}
    lanes: list[list[Bar]] = []
    for bar in sorted(bars, key=lambda bar: bar.began):
        if bar.worker is not None:
            found.setdefault(bar.worker, []).append(bar)
            continue
        free = next((lane for lane in lanes if lane[-1].ended <= bar.began), None)
        if free is None:
            lanes.append(free := [])
        free.append(bar)
    known = {name: found[name] for name in sorted(found, key=_natural)}
    return {**known, **{_unnamed(number, known): lane for number, lane in enumerate(lanes)}}


def _unnamed(number: int, known: Iterable[str]) -> str:
    return f"{'unknown' if list(known) else 'lane'} {number + 1}"


def _natural(name: str) -> list[tuple[int, str]]:
    """So that worker 10 comes after worker 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _stretches(bars: Sequence[Bar]) -> list[Stretch]:
    """When trials ran, and when none did for long."""
    busy: list[tuple[float, float]] = []
    for bar in sorted(bars, key=lambda bar: bar.began):
        if busy and bar.began <= busy[-1][1]:
            busy[-1] = (busy[-1][0], max(busy[-1][1], bar.ended))
        else:
            busy.append((bar.began, bar.ended))
    least = max(_SHORTEST_BREAK * sum(ended - began for began, ended in busy), _LEAST_BREAK)
    joined = [busy[0]]
    for began, ended in busy[1:]:
        if began - joined[-1][1] <= least:
            joined[-1] = (joined[-1][0], ended)
        else:
            joined.append((began, ended))
    found: list[Stretch] = []
    for began, ended in joined:
        if found:
            found.append(Stretch("away", found[-1].ended, _time(began)))
        found.append(Stretch("train", _time(began), _time(ended)))
    return found


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds)


def _place(parts: Sequence[Placed], seconds: float) -> float:
    """Where a time lies on the axis."""
    for part in parts:
        began, ended = part.stretch.began.timestamp(), part.stretch.ended.timestamp()
        if seconds <= ended:
            share = (seconds - began) / (ended - began) if ended > began else 0.0
            return part.at + part.width * max(share, 0.0)
    return parts[-1].at + parts[-1].width


def _draw(axis: Any, rows: dict[str, list[Bar]], parts: Sequence[Placed], length: float) -> list[Any]:
    """The bars; the texts of their trials' numbers, each with the width of its bar."""
    legend: dict[str, Any] = {}
    texts = []
    for outcome, (name, color, hatch) in _LOOKS.items():
        for row, bars in enumerate(rows.values()):
            spans = []
            for bar in bars:
                if bar.outcome == outcome:
                    at, end = _place(parts, bar.began), _place(parts, bar.ended)
                    spans.append((at, max(end - at, _NARROWEST * length)))
                    texts.append((axis.text((at + end) / 2, row, str(bar.trial), **_INSIDE), end - at))
            if spans:
                look = {"facecolor": color, "hatch": hatch or None, "edgecolor": "white", "linewidth": 0.4}
                legend[name] = axis.broken_barh(spans, (row - 0.4, 0.8), **look)
    above(axis, legend)
    return texts


_INSIDE: dict[str, Any] = {
    "ha": "center",
    "va": "center",
    "fontsize": SMALL,
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.7},
}


def _draw_breaks(axis: Any, parts: Sequence[Placed]) -> None:
    """Long times without any trial: a pale band, and how long it took above the axis."""
    for part in parts:
        if part.stretch.kind == "away":
            axis.axvspan(part.at, part.at + part.width, color=PALE, linewidth=0, zorder=0)


def _label(axis: Any, rows: dict[str, list[Bar]], parts: Sequence[Placed], length: float) -> None:
    unit, name = unit_of(parts)
    marked = ticks(parts, unit)
    axis.set_xticks([at for at, _ in marked], [f"{time:g}" for _, time in marked], fontsize=TEXT)
    breaks = [part.stretch.seconds for part in parts if part.is_cut]
    cut = f", without {_in_words(breaks)}, in which nothing ran (gray)" if breaks else ""
    axis.set_xlabel(f"{name} since the first trial was begun{cut}", fontsize=TEXT)
    axis.set_xlim(0, length)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    light_grid(axis, "x")
    step = -(-len(rows) // _MOST_ROWS)
    named = list(rows)[::step]
    axis.set_yticks(range(0, len(rows), step), [shortened(each, LABEL) for each in named], fontsize=TEXT)
    if len(rows) > 12:
        axis.tick_params(axis="y", labelsize=SMALL)
    for label in axis.get_yticklabels():
        plain(label)
    axis.tick_params(axis="y", length=0)


def _in_words(breaks: Sequence[float]) -> str:
    if len(breaks) == 1:
        return f"a break of {duration(breaks[0])}"
    return f"{len(breaks)} breaks of {duration(sum(breaks))} together"


def _hide_what_does_not_fit(figure: Any, axis: Any, texts: Sequence[tuple[Any, float]]) -> None:
    figure.draw_without_rendering()
    room = axis.get_window_extent().width / (axis.get_xlim()[1] - axis.get_xlim()[0])
    rows = axis.get_window_extent().height / abs(axis.get_ylim()[0] - axis.get_ylim()[1])
    boxes = [(text, text.get_window_extent(), width * room) for text, width in texts]
    fitting = {id(text) for text, box, width in boxes if box.width + _AIR < width and box.height < 0.8 * rows}
    for text, _ in texts:  # a few numbers among many bars without one would look as if they meant something
        text.set_visible(id(text) in fitting and 2 * len(fitting) > len(texts))
