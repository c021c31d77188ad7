"""How a search went: the value of each trial, and the best one so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from .style import (
    BLACK,
    PALE,
    TEXT,
    TITLE,
    above,
    light_grid,
    new_figure,
    plain,
    shortened,
)
from .trials import STAR, Fate, Objective, Tried, extent_of, mark_look, set_extent

_WITHOUT: tuple[Fate, ...] = ("pruned", "failed", "running", "waiting")
_FEW = 10
"""Trials that all have their tick."""
_PANEL, _LANE = 2.4, 0.24
"""Inches."""


def plot_progress(title: str, tried: Sequence[Tried], objectives: Sequence[Objective]) -> Any:
    """The value of each trial over its number, and the best one so far as a line.

    Each direction has an axis. Below them is a lane for each fate that left trials without a value. Where
    some values are so bad that the others could not be told apart, they are drawn at the edge.

    Args:
        title: What stands over the figure.
        tried: The trials, in order.
        objectives: The values that the search is about.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from burr_lightning.plots import Objective, Tried
        >>> objectives = [Objective("val_loss", "min")]
        >>> tried = [
        ...     Tried(0, "finished", {"lr": 0.1, "kind": "sgd"}, (0.9,)),
        ...     Tried(1, "pruned", {"lr": 0.001, "kind": "adam"}),
        ...     Tried(2, "finished", {"lr": 0.01, "kind": "adam"}, (0.4,)),
        ... ]
        >>> figure = plot_progress("digits", tried, objectives)
        >>> figure.axes[0].get_ylabel()
        'val_loss'
    """
    lanes = [fate for fate in _WITHOUT if any(t.fate == fate and t.values is None for t in tried)]
    heights = [_PANEL] * len(objectives) + ([0.12 + _LANE * len(lanes)] if lanes else [])
    figure = new_figure("plot_progress()", 0.9 + sum(heights))
    plain(figure.suptitle(fill(title, 92), fontsize=TITLE))
    axes = figure.subplots(len(heights), 1, height_ratios=heights, sharex=True, squeeze=False)[:, 0]
    for number, objective in enumerate(objectives):
        _draw(axes[number], tried, objective, number)
    if lanes:
        _draw_lanes(axes[-1], tried, lanes)
    _label_trials(axes[-1], tried)
    return figure


def _draw(axis: Any, tried: Sequence[Tried], objective: Objective, number: int) -> None:
    values = {trial.number: trial.values[number] for trial in tried if trial.values is not None}
    finished = {trial.number for trial in tried if trial.fate == "finished"}
    extent = extent_of(values.values(), objective.mode)
    legend: dict[str, Any] = {}
    worse: list[Any] = []
    fates: tuple[Fate, ...] = ("finished", "pruned")
    for fate in fates:
        points = {t.number: values[t.number] for t in tried if t.fate == fate and t.number in values}
        look = mark_look(fate, len(tried))
        shown = {at: value for at, value in points.items() if extent.shows(value)}
        if points:
            [legend[fate]] = axis.plot(list(shown), list(shown.values()), **look)
        cut = [at for at in points if at not in shown]
        if cut:
            arrow = {**look, "marker": "^" if objective.mode == "min" else "v", "markerfacecolor": "white"}
            worse += axis.plot(cut, [extent.edge] * len(cut), **arrow)
    if worse:
        count = sum(len(line.get_xdata()) for line in worse)
        legend[f"worse than the axis shows: {count}"] = worse[0]
    best = _so_far({at: value for at, value in values.items() if at in finished}, objective)
    if best:
        last = max(trial.number for trial in tried)
        at, value = [*best, last], [*best.values(), list(best.values())[-1]]
        [legend["the best so far"]] = axis.step(at, value, where="post", color=BLACK, linewidth=1.3, zorder=5)
        star = (list(best)[-1], list(best.values())[-1])
        [legend[f"the best: trial {star[0]}"]] = axis.plot(*star, **STAR)
    set_extent(axis, extent)
    light_grid(axis)
    plain(axis.set_ylabel(shortened(objective.name, 30), fontsize=TEXT))
    above(axis, legend)


def _so_far(values: dict[int, float], objective: Objective) -> dict[int, float]:
    """The trials that were the best until then, and their values."""
    found: dict[int, float] = {}
    sign, best = (1 if objective.mode == "min" else -1), math.inf
    for at, value in values.items():
        if sign * value < best:
            found[at], best = value, sign * value
    return found


def _draw_lanes(axis: Any, tried: Sequence[Tried], lanes: Sequence[Fate]) -> None:
    for row, fate in enumerate(lanes):
        own = [trial.number for trial in tried if trial.fate == fate and trial.values is None]
        axis.plot(own, [row] * len(own), **mark_look(fate, len(tried)))
    axis.set_ylim(len(lanes) - 0.5, -0.5)
    axis.set_yticks(range(len(lanes)), lanes, fontsize=TEXT)
    light_grid(axis, "x")
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_color(PALE)


def _label_trials(axis: Any, tried: Sequence[Tried]) -> None:
    from matplotlib.ticker import FixedLocator, MaxNLocator

    last = max((trial.number for trial in tried), default=0)
    air = max(0.02 * last, 0.5)
    axis.set_xlim(-air, last + air)
    few = range(last + 1)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10) if last > _FEW else FixedLocator(few))
    axis.set_xlabel("trial" if tried else "trial (none was suggested yet)", fontsize=TEXT)
