"""The band under the learning curves: the stages, a line for each action, and what is marked."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from ..amounts import duration
from .marks import MarkedLane
from .path import Lane, StageSpan
from .style import BLACK, BLUE, FAILED, GREEN, ORANGE, PALE, SKY, SMALL, light_grid, plain

_PHASES = {"train": BLUE, "validate": SKY}
_ORDINARY = (ORANGE, GREEN, BLACK)
_MANY = 300
"""Bars, of which each is too narrow for an edge."""
_ROW = 0.19
"""Inches."""


def height_of(stages: Sequence[StageSpan], lanes: Sequence[Lane], marked: Sequence[MarkedLane]) -> float:
    """How many inches a band needs; 0 where there is nothing to draw."""
    rows = bool(stages) + len(lanes) + len(marked)
    return _ROW * (rows + 0.5) if rows else 0.0


def draw_band(
    axis: Any, stages: Sequence[StageSpan], lanes: Sequence[Lane], marked: Sequence[MarkedLane]
) -> None:
    """Draw a band: from top to bottom the stages, the actions, and the marks."""
    labels = ["stages"] if stages else []
    if stages:
        _draw_stages(axis, stages)
    bars = sum(len(lane.bars) for lane in lanes)
    ordinary = [lane.label for lane in lanes if lane.phase is None]
    for row, lane in enumerate(lanes, len(labels)):
        number = ordinary.index(lane.label) if lane.phase is None else 0
        color = _PHASES[lane.phase] if lane.phase else _ORDINARY[number % len(_ORDINARY)]
        _draw_lane(axis, row, lane, color, edge=0.4 if bars < _MANY else 0.0)
    labels += [f"{lane.label}  {duration(lane.seconds)}" for lane in lanes]
    for row, mark in enumerate(marked, len(labels)):
        at = [epoch + 0.5 for epoch in mark.epochs]
        axis.plot(at, [row] * len(at), mark.marker, color=mark.color, markersize=5, clip_on=False)
    labels += [mark.label for mark in marked]
    axis.set_ylim(len(labels) - 0.4, -0.6)
    light_grid(axis, "x")
    axis.set_yticks(range(len(labels)), labels, fontsize=SMALL)
    axis.tick_params(axis="y", length=0, labelsize=SMALL)
    for text in axis.get_yticklabels():
        plain(text)


def _draw_lane(axis: Any, row: int, lane: Lane, color: str, *, edge: float) -> None:
    if lane.bars:
        hatch = "////" if lane.phase == "validate" and edge else None
        look = {"facecolor": color, "edgecolor": "white", "linewidth": edge, "hatch": hatch, "snap": False}
        axis.broken_barh(lane.bars, (row - 0.36, 0.72), **look)
    for points, marker, shade in ((lane.points, "D", color), (lane.failed, "X", FAILED)):
        if points:
            look = {"markersize": 4.5 if marker == "D" else 7, "clip_on": False}
            axis.plot(points, [row] * len(points), marker, color=shade, **look)


def _draw_stages(axis: Any, stages: Sequence[StageSpan]) -> None:
    for number, stage in enumerate(stages):
        shade = PALE if number % 2 == 0 else "white"
        axis.broken_barh(
            [(stage.at, stage.width)], (-0.42, 0.84), facecolor=shade, edgecolor=BLACK, linewidth=0.6
        )
        text = axis.text(
            stage.at + stage.width / 2, 0, stage.name, ha="center", va="center", fontsize=SMALL, clip_on=True
        )
        plain(text).set_gid("stage")


def fit_stages(figure: Any, axis: Any, stages: Sequence[StageSpan]) -> None:
    """Give stages that are too short for their names numbers instead, and write the names below.

    Which those are is known when everything else has its place.
    """
    texts = [text for text in axis.texts if text.get_gid() == "stage"]
    figure.draw_without_rendering()
    if all(_fits(axis, text, stage) for text, stage in zip(texts, stages, strict=True)):
        return
    for number, (text, stage) in enumerate(zip(texts, stages, strict=True), 1):
        text.set_text(str(number))
        if not _fits(axis, text, stage):
            text.set_visible(False)
    # With spaces that do not break, no number is parted from its name.
    named = ", ".join(f"{number}\N{NO-BREAK SPACE}{stage.name}" for number, stage in enumerate(stages, 1))
    words = fill(f"stages: {named}", 100, max_lines=4, placeholder=" …")
    plain(figure.supxlabel(words, fontsize=SMALL))


def _fits(axis: Any, text: Any, stage: StageSpan) -> bool:
    ends = axis.transData.transform([(stage.at, 0), (stage.at + stage.width, 0)])
    return bool(text.get_window_extent().width + 4 < ends[1][0] - ends[0][0])
