"""A timeline of a run: where the wall-clock time went."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from textwrap import fill
from typing import Any

from ..amounts import duration
from ..commit_times import CommitTime
from ..steps import Step
from .spent import BREAKS, Kind, Wait, spent
from .style import (
    BLACK,
    BLUE,
    FAILED,
    GRAY,
    GREEN,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    SMALL,
    TEXT,
    TITLE,
    light_grid,
    new_figure,
    plain,
)
from .wall_clock import Placed, placed, ticks, unit_of

_KINDS: dict[Kind, tuple[str, str, str]] = {
    "train": ("training", BLUE, ""),
    "validate": ("validation", SKY, "////"),
    "actions": ("other actions", ORANGE, ""),
    "commit": ("commits", GREEN, ""),
    "commit_gap": ("gaps with a commit", GREEN, "...."),
    "gap": ("other gaps", GRAY, ""),
    "human": ("waiting for a human", PURPLE, "xxxx"),
    "away": ("no process, or undone", PALE, "\\\\\\\\"),
}
"""What each is called, its color and its hatch."""
_NOT_APART = "{} Lightning's hooks and the loading of data: they are not measured apart."
_NARROWEST = 0.003
"""The share of the axis that a bar has at least, where it would not be seen."""
_FEW = 50
"""Bars that are that wide."""
_FAILED = {"facecolor": FAILED, "hatch": None}
_AIR = 8
"""Pixels around a text."""


def plot_timeline(
    title: str,
    steps: Sequence[Step],
    waits: Sequence[Wait] = (),
    committed: Collection[int] | None = None,
    measured: Sequence[CommitTime] = (),
) -> Any:
    """Where the time of a run went: in shares of the whole, and along the wall clock.

    Long waits and breaks are drawn shorter than they were, and say how long they took.

    Args:
        title: What stands over the figure.
        steps: The machine's steps.
        waits: When a human was waited for.
        committed: The numbers of the steps after which a commit was made; ``None`` where that is unknown.
        measured: How long commits took, in order; those of older versions were not measured.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from datetime import datetime
        >>> at = [datetime(2026, 1, 1, 12, 0, second) for second in (0, 5, 6, 8)]
        >>> steps = [Step(0, "train_epoch", *at[:2], False, 0), Step(1, "validate", *at[2:], False, 0)]
        >>> figure = plot_timeline("digits", steps)
    """
    parts = placed(spent(steps, waits, committed, measured))
    totals = {
        kind: total
        for kind in _KINDS
        if (total := sum(part.stretch.seconds for part in parts if part.stretch.kind == kind))
    }
    bars = _bars(totals)
    heights = [0.3 * len(bars), 0.27 * max(len(totals), 1)]
    figure = new_figure("plot_timeline()", 1.4 + sum(heights))
    shares, lanes = figure.subplots(2, 1, height_ratios=heights)
    plain(figure.suptitle(fill(title, 92), fontsize=TITLE))
    if not totals:
        _say_nothing(shares, lanes)
        return figure
    _draw_shares(figure, shares, bars)
    _draw_lanes(lanes, parts, totals)
    known = committed is not None or bool(measured)
    figure.supxlabel(_NOT_APART.format(_held(totals, known=known)), fontsize=SMALL)
    _label_axis(lanes, parts)
    _label_breaks(figure, lanes, parts, list(totals))
    return figure


def _held(totals: Collection[Kind], *, known: bool) -> str:
    """The beginning of what is said of the gaps."""
    if "commit_gap" in totals:
        return "A gap with a commit holds the commit,"
    return "Gaps between actions hold" if known else "Gaps between actions hold commits,"


def _bars(totals: Mapping[Kind, float]) -> dict[str, Mapping[Kind, float]]:
    """The totals that are shown as shares: of all the time, and of that without the breaks."""
    working = {kind: seconds for kind, seconds in totals.items() if kind not in BREAKS}
    found = {"all of it": totals}
    if 0 < len(working) < len(totals):
        found["without breaks"] = working
    return found


def _say_nothing(shares: Any, lanes: Any) -> None:
    shares.set_axis_off()
    lanes.set_axis_off()
    why = "Burr's local tracker recorded no step of this run."
    lanes.text(0.5, 0.5, why, ha="center", va="center", fontsize=TEXT, transform=lanes.transAxes)


def _look(kind: Kind) -> dict[str, Any]:
    _, color, hatch = _KINDS[kind]
    return {
        "facecolor": color,
        "hatch": hatch or None,
        "edgecolor": "white" if kind != "away" else GRAY,
        "linewidth": 0,
        "snap": False,  # bars that are narrower than a dot make it paler, and none is left out
    }


def _draw_shares(figure: Any, axis: Any, bars: Mapping[str, Mapping[Kind, float]]) -> None:
    """A bar for each of the totals; the shares that have room for it have their percentage in them."""
    texts = []
    for row, totals in enumerate(bars.values()):
        at, whole = 0.0, sum(totals.values())
        for kind, seconds in totals.items():
            share = 100 * seconds / whole
            axis.barh(row, share, left=at, height=0.84, **_look(kind))
            text = axis.text(at + share / 2, row, _percent(share), **_INSIDE)
            texts.append((text, share))
            at += share
    axis.set_xlim(0, 100)
    axis.set_ylim(len(bars) - 0.5, -0.5)
    light_grid(axis, "x")
    axis.spines[:].set_visible(False)
    axis.set_xticks([])
    labels = [f"{label}  {duration(sum(totals.values()))}" for label, totals in bars.items()]
    axis.set_yticks(range(len(bars)), labels, fontsize=TEXT)
    axis.tick_params(axis="y", length=0)
    figure.draw_without_rendering()
    room = axis.get_window_extent().width / 100
    for text, share in texts:
        text.set_visible(text.get_window_extent().width + _AIR < share * room)


def _draw_lanes(axis: Any, parts: Sequence[Placed], totals: Mapping[Kind, float]) -> None:
    length, whole = parts[-1].at + parts[-1].width, sum(totals.values())
    for row, kind in enumerate(totals):
        own = [part for part in parts if part.stretch.kind == kind]
        for failed in (False, True):
            # Where there are many, that each can be seen would make them look like most of the time.
            least = _NARROWEST * length if failed or len(own) <= _FEW else 0.0
            spans = [(p.at, max(p.width, least)) for p in own if p.stretch.failed == failed]
            axis.broken_barh(spans, (row - 0.38, 0.76), **{**_look(kind), **(_FAILED if failed else {})})
    names = {kind: _KINDS[kind][0] for kind in totals}
    if "gap" in names and "commit_gap" not in names:
        names["gap"] = "gaps between actions"
    labels = [
        f"{names[k]}  {duration(total)}  {_percent(100 * total / whole)}" for k, total in totals.items()
    ]
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.set_xlim(0, length)
    light_grid(axis, "x")
    axis.set_yticks(range(len(labels)), labels, fontsize=TEXT)
    axis.tick_params(axis="y", length=0)


def _percent(share: float) -> str:
    return f"{share:.0f} %" if share >= 1 or share == 0 else "<1 %"


def _label_axis(axis: Any, parts: Sequence[Placed]) -> None:
    unit, name = unit_of(parts)
    marked = ticks(parts, unit)
    axis.set_xticks([at for at, _ in marked], [f"{time:g}" for _, time in marked], fontsize=TEXT)
    cut = ", without the breaks whose length is written beside them" if any(p.is_cut for p in parts) else ""
    axis.set_xlabel(f"{name}{cut}", fontsize=TEXT)


def _label_breaks(figure: Any, axis: Any, parts: Sequence[Placed], kinds: Sequence[Kind]) -> None:
    """Write the length of cut breaks beside them, where the bars of their line leave room for it."""
    written = []
    for row, kind in enumerate(kinds):
        own = [part for part in parts if part.stretch.kind == kind]
        ends = [0.0, *(part.at + part.width for part in own[:-1])]
        starts = [*(part.at for part in own[1:]), axis.get_xlim()[1]]
        for part, before, after in zip(own, ends, starts, strict=True):
            if part.is_cut:
                at = (part.at + part.width, row)
                text = axis.annotate(duration(part.stretch.seconds), at, (3, 0), **_BESIDE)
                written.append((row, text, part, before, after))
    figure.draw_without_rendering()
    taken: dict[int, float] = {}
    for row, text, part, before, after in written:
        room = axis.transData.transform([(before, 0), (part.at, 0), (after, 0)])[:, 0]
        width = text.get_window_extent().width + _AIR
        if text.get_window_extent().x1 <= room[2]:
            taken[row] = text.get_window_extent().x1
        elif max(room[0], taken.get(row, 0.0)) + width < room[1]:
            text.set(position=(-3, 0), ha="right")
            text.xy = (part.at, row)
        else:
            text.set_visible(False)


_INSIDE: dict[str, Any] = {
    "ha": "center",
    "va": "center",
    "fontsize": SMALL,
    "bbox": {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none"},
}
_BESIDE: dict[str, Any] = {
    "textcoords": "offset points",
    "va": "center",
    "ha": "left",
    "fontsize": SMALL,
    "color": BLACK,
}
