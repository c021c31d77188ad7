"""The learning curves of a run, with the machine's way as a band under them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from ..amounts import number
from ..errors import UnknownMetricError
from ..history import MetricHistory
from ..steps import Step
from .band import draw_band, fit_stages, height_of
from .gaps import draw_gaps, marked_points
from .groups import curve_of, groups_of, spans_magnitudes
from .marks import MarkedLane, Marks, marked_lanes
from .path import lanes, stages
from .style import (
    BLACK,
    TEXT,
    TITLE,
    above,
    light_grid,
    line_look,
    new_figure,
    plain,
    rows_above,
    shortened,
    whole_epochs,
)

_NOTHING = Marks()
_CURVES = 1.7
"""Inches."""
_ROW = 0.25
"""Inches of a row of a legend."""
_LONG = 200
"""Epochs."""


def plot_run(
    title: str,
    history: MetricHistory,
    steps: Sequence[Step],
    monitor: str | None,
    best: Mapping[str, Any] | None,
    marks: Marks = _NOTHING,
    *,
    metrics: Sequence[str] = (),
) -> Any:
    """The learning curves of a run, with the machine's steps and what is marked under them.

    What measures the same shares an axis, and what is logged under one prefix, as ``val_``, has one look
    in all of them. Forks, stops and shadow stops go up through the curves as lines. Where a metric was
    logged and was not finite, its line has a gap, and a hollow mark stands at the axis' edge.

    Args:
        title: What stands over the figure.
        history: The metrics.
        steps: The machine's steps; none leaves their lines out.
        monitor: The monitored metric, drawn thicker.
        best: The best epoch, marked.
        marks: Commits, forks, stops and shadow stops.
        metrics: Which metrics are drawn; none for all.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
        UnknownMetricError: If nothing has logged one of ``metrics``.

    Example:
        >>> from burr_lightning import MetricHistory
        >>> history = MetricHistory().append(0, {"val_loss": 0.9}).append(1, {"val_loss": 0.7})
        >>> figure = plot_run("digits", history, steps=[], monitor="val_loss", best=None)
        >>> [line.get_label() for line in figure.axes[0].lines][:1]
        ['val_loss']
    """
    groups = _groups(history, metrics)
    band = stages(steps), lanes(steps), marked_lanes(marks)
    heights = [_CURVES] * len(groups) + ([below] if (below := height_of(*band)) else [])
    legends = sum(_ROW * max(rows_above(names), 1) for names in groups.values())
    figure = new_figure("run.plot()", 0.8 + sum(heights) + legends)
    grid = figure.subplots(len(heights), 1, height_ratios=heights, sharex=True, squeeze=False)
    axes = list(grid[:, 0])
    prefixes = list(dict.fromkeys(_prefix(name) for names in groups.values() for name in names))
    for axis, (label, names) in zip(axes, groups.items(), strict=False):
        looks = {name: prefixes.index(_prefix(name)) for name in names}
        _draw_curves(axis, label, looks, history, monitor, best)
        _draw_rules(axis, band[2])
    whole_epochs(axes[-1])
    axes[-1].set_xlabel("epoch", fontsize=TEXT)
    plain(figure.suptitle(fill(title, 92), fontsize=TITLE))
    if below:
        draw_band(axes[-1], *band)
        fit_stages(figure, axes[-1], band[0])
    return figure


def _groups(history: MetricHistory, metrics: Sequence[str]) -> dict[str, list[str]]:
    for name in metrics:
        if name not in history:
            raise UnknownMetricError(name, history.names, "The figure")
    if not metrics:
        return groups_of(history)
    groups: dict[str, list[str]] = {}
    for name in metrics:
        groups.setdefault(name.rsplit("_", 1)[-1], []).append(name)
    return groups


def _prefix(name: str) -> str:
    """What a metric is measured on: its name without the last word."""
    return name.rpartition("_")[0]


def _draw_curves(
    axis: Any,
    label: str,
    looks: Mapping[str, int],
    history: MetricHistory,
    monitor: str | None,
    best: Mapping[str, Any] | None,
) -> None:
    shown: dict[str, Any] = {}
    gaps: list[tuple[Mapping[int, float], Mapping[str, Any]]] = []
    for name, look in looks.items():
        curve = curve_of(history, name)
        width = _width(len(curve.epochs), is_monitored=name == monitor)
        line = {"markersize": 3.5, "linewidth": width, **line_look(look)}
        marked = marked_points(curve.values, look)
        [shown[name]] = axis.plot(curve.epochs, curve.values, label=name, markevery=marked, **line)
        gaps.append((curve.not_finite, line))
        if name == monitor and best is not None and best["value"] is not None:
            where = f"best: {number(best['value'])} (epoch {best['epoch']})"
            star = {"color": BLACK, "markersize": 11, "markeredgecolor": "white", "linestyle": "none"}
            [shown[where]] = axis.plot(
                best["epoch"], best["value"], marker="*", zorder=5, label=where, **star
            )
    if not shown:
        axis.text(0.5, 0.5, "No metric has been logged yet.", ha="center", transform=axis.transAxes)
    plain(axis.set_ylabel(shortened(label), fontsize=TEXT))
    if spans_magnitudes([value for name in looks for value in history[name]]):
        axis.set_yscale("log")
    light_grid(axis)
    above(axis, {**shown, **draw_gaps(axis, gaps)})


def _width(epochs: int, *, is_monitored: bool) -> float:
    """How wide a line is, in points: the monitored metric's wider, and those of long runs narrower."""
    return (2.2 if is_monitored else 1.3) * (1.0 if epochs < _LONG else 0.6)


def _draw_rules(axis: Any, marked: Sequence[MarkedLane]) -> None:
    """Lines that go up through the curves, under them, where a mark below stands."""
    for mark in marked:
        for epoch in mark.epochs if mark.rule is not None else ():
            look = {"color": mark.color, "linestyle": mark.rule, "linewidth": 1.0, "zorder": 1}
            axis.axvline(epoch + 0.5, label="_rule", **look)
