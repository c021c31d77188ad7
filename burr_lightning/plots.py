"""Figures of runs. Matplotlib is imported when one is drawn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from .errors import MissingExtraError
from .history import MetricHistory
from .steps import Step

_PHASES = ("#4c78a8", "#f58518", "#72b7b2", "#eeca3b", "#9ecae9", "#ffbf79")
_ORDINARY = ("#54a24b", "#b279a2", "#9d755d", "#d67195", "#79706e", "#439894")
_FAILED = "#e45756"
_MANY = 300
"""Steps, of which each bar is too narrow for an edge."""


def plot_run(
    title: str,
    history: MetricHistory,
    steps: Sequence[Step],
    monitor: str | None,
    best: Mapping[str, Any] | None,
) -> Any:
    """The learning curves of a run, with the machine's steps marked under them.

    Args:
        title: What stands over the figure.
        history: The metrics.
        steps: The machine's steps; none leaves their band out.
        monitor: The monitored metric, drawn thicker.
        best: The best epoch, marked.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtraError("run.plot()", "matplotlib", "plot") from error
    groups = groups_of(history)
    rows = list(dict.fromkeys(step.action for step in steps))
    heights = [3] * len(groups) + ([0.6 + 0.22 * len(rows)] if steps else [])
    figure = Figure(figsize=(9, 1 + 0.9 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(heights), 1, height_ratios=heights, sharex=True, squeeze=False)
    axes = list(grid[:, 0])
    for axis, (label, names) in zip(axes, groups.items(), strict=False):
        _draw_curves(axis, label, names, history, monitor, best)
    if steps:
        _draw_path(axes[-1], rows, steps)
    axes[-1].set_xlabel("epoch")
    figure.suptitle(fill(title, 110), fontsize=10)
    return figure


def groups_of(history: MetricHistory) -> dict[str, list[str]]:
    """The metrics by what they measure: ``train_loss`` and ``val_loss`` share an axis."""
    groups: dict[str, list[str]] = {}
    for name in history.names:
        if not name.endswith(("_step", "_epoch")):
            groups.setdefault(name.rsplit("_", 1)[-1], []).append(name)
    return groups or {"metrics": []}


def _draw_curves(
    axis: Any,
    label: str,
    names: Sequence[str],
    history: MetricHistory,
    monitor: str | None,
    best: Mapping[str, Any] | None,
) -> None:
    epochs = range(len(history))
    for name in names:
        wide = name == monitor
        width = 2.2 if wide else 1.2
        axis.plot(epochs, list(history[name]), "o-", markersize=3, linewidth=width, label=name)
        if wide and best is not None and best["value"] is not None:
            where = f"best: {best['value']:.4g} (epoch {best['epoch']})"
            axis.plot(best["epoch"], best["value"], "*", color="black", markersize=13, label=where)
    axis.set_ylabel(label)
    if spans_magnitudes([value for name in names for value in history[name]]):
        axis.set_yscale("log")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3)
    if names:
        axis.legend(fontsize=8)


def spans_magnitudes(values: Sequence[float]) -> bool:
    """Whether a linear axis would show the largest values and nothing of the others."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > 1000 * min(finite)


def _draw_path(axis: Any, rows: Sequence[str], steps: Sequence[Step]) -> None:
    """A line per action: phases over their epoch, ordinary actions between two of them."""
    taken = {action: sum(step.seconds or 0.0 for step in steps if step.action == action) for action in rows}
    placed = list(zip(steps, _places(steps), strict=True))
    phases = {step.action for step in steps if step.epoch is not None}
    colors = {
        action: kinds[[other for other in rows if (other in phases) == (action in phases)].index(action) % 6]
        for action in rows
        for kinds in [_PHASES if action in phases else _ORDINARY]
    }
    for row, action in enumerate(rows):
        own = [(step, place) for step, place in placed if step.action == action]
        bars = [place for step, place in own if step.epoch is not None]
        if bars:
            edge = 0.4 if len(steps) < _MANY else 0.0
            axis.broken_barh(bars, (row - 0.35, 0.7), color=colors[action], edgecolor="white", linewidth=edge)
        for failed, color in ((False, colors[action]), (True, _FAILED)):
            points = [at for step, (at, width) in own if width == 0 and step.failed == failed]
            if points:
                axis.plot(points, [row] * len(points), "D", color=color, markersize=6, clip_on=False)
    axis.set_yticks(range(len(rows)), [f"{action}  {taken[action]:.2f} s" for action in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.grid(alpha=0.3, axis="x")


def _places(steps: Sequence[Step]) -> list[tuple[float, float]]:
    """Where each step begins on the axis of epochs, and how wide it is; a step without an epoch has no width.

    The phases of an epoch share the place around its number.
    """
    shares = Counter(step.epoch for step in steps)
    drawn: Counter[int | None] = Counter()
    places, at = [], -0.5
    for step in steps:
        width = 0.0
        if step.epoch is not None:
            width = 1 / shares[step.epoch]
            at = step.epoch - 0.5 + width * drawn[step.epoch]
            drawn[step.epoch] += 1
        places.append((at, width))
        at += width
    return places
