"""The learning curves of several runs on top of each other, a metric on each axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..amounts import number
from ..errors import UnknownMetricError
from ..history import MetricHistory
from ..metric import Mode
from .gaps import draw_gaps, marked_points
from .groups import curve_of, names_of, spans_magnitudes
from .style import (
    TEXT,
    WIDTH,
    above,
    columns,
    light_grid,
    line_look,
    new_figure,
    plain,
    shortened,
    whole_epochs,
)

_MOST = 6
"""Metrics that are drawn where nobody says which."""
_ROW = 2.2
"""Inches."""


@dataclass(frozen=True)
class RunCurves:
    """What is drawn of one run."""

    name: str
    """What it is called in the legend."""
    history: MetricHistory
    monitor: str | None = None
    """The monitored metric."""
    directions: Mapping[str, Mode] = field(default_factory=dict)
    """Whether lower or higher is better; a metric without one has no best epoch."""
    begins: int = 0
    """The epoch from which on it is drawn: of a fork, the last one that another line shows already."""


def plot_runs(runs: Sequence[RunCurves], metrics: Sequence[str] = ()) -> Any:
    """Several runs on top of each other: each metric on an axis of its own, each run in one look.

    Where it is known whether lower or higher is better, the best epoch of each run has a star, and that of
    the first metric is in the legend. A fork is drawn from where it has left its parent. Where a metric was
    logged and was not finite, its line has a gap, and a hollow mark stands at the axis' edge.

    Args:
        runs: The runs; their names are different.
        metrics: What is drawn, in this order; none draws what they monitor, and then what they share.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
        UnknownMetricError: If no run has logged one of ``metrics``.

    Example:
        >>> from burr_lightning import MetricHistory
        >>> history = MetricHistory().append(0, {"val_loss": 0.9}).append(1, {"val_loss": 0.7})
        >>> other = MetricHistory().append(0, {"val_loss": 0.8}).append(1, {"val_loss": 0.4})
        >>> figure = plot_runs([RunCurves("first", history, "val_loss"), RunCurves("second", other)])
        >>> len(figure.axes), figure.axes[0].get_ylabel()
        (1, 'val_loss')
    """
    _check(runs, metrics)
    names = list(metrics) or _shared(runs)
    wide = 2 if len(names) > 3 else 1
    rows = max(1, math.ceil(len(names) / wide))
    legend = [_in_legend(run, names[0]) if names else run.name for run in runs]
    fitting = columns(legend, WIDTH)
    height = 0.4 + _ROW * rows + 0.2 * math.ceil(len(runs) / fitting)
    figure = new_figure("plot_runs()", height)
    axes = figure.subplots(rows, wide, squeeze=False, sharex=True).ravel()
    for axis, name in zip(axes, names, strict=False):
        _draw(axis, name, runs)
    for axis in axes[len(names) :] if names else ():
        axis.set_visible(False)
    for axis in axes[max(len(names) - wide, 0) :]:  # the lowest of each column
        axis.tick_params(labelbottom=True)
        axis.set_xlabel("epoch", fontsize=TEXT)
    _add_legend(figure, legend, fitting)
    return figure


def _check(runs: Sequence[RunCurves], metrics: Sequence[str]) -> None:
    known = {name for run in runs for name in run.history.names}
    for name in metrics:
        if name not in known:
            raise UnknownMetricError(name, known, "The figure")


def _shared(runs: Sequence[RunCurves]) -> list[str]:
    """What the runs monitor, and then what all of them have logged."""
    logged_by = [names_of(run.history) for run in runs]
    monitored = [run.monitor for run in runs if run.monitor and run.monitor in run.history]
    shared = [name for name in logged_by[0] if all(name in each for each in logged_by)] if runs else []
    first = [name for names in logged_by for name in names][:1]
    return (list(dict.fromkeys([*monitored, *shared])) or first)[:_MOST]


def _in_legend(run: RunCurves, metric: str) -> str:
    found = _best(run, metric)
    return f"{run.name}  best {number(found[1])} (epoch {found[0]})" if found else run.name


def _best(run: RunCurves, metric: str) -> tuple[int, float] | None:
    """The best epoch and its value, by the values at the ends of epochs."""
    if metric not in run.history or metric not in run.directions:
        return None
    better = min if run.directions[metric] == "min" else max
    return better(curve_of(run.history, metric).finite, key=lambda pair: pair[1], default=None)


def _draw(axis: Any, metric: str, runs: Sequence[RunCurves]) -> None:
    shown: list[float] = []
    gaps: list[tuple[Mapping[int, float], Mapping[str, Any]]] = []
    for index, run in enumerate(runs):
        if metric not in run.history:
            continue
        curve = curve_of(run.history, metric).since(run.begins)
        look = {"markersize": 3.5, "linewidth": 1.4, **line_look(index)}
        marked = marked_points(curve.values, index)
        axis.plot(curve.epochs, curve.values, markevery=marked, label=run.name, **look)
        gaps.append((curve.not_finite, look))
        found = _best(run, metric)
        if found is not None and found[0] >= run.begins:
            star = {"color": look["color"], "markersize": 11, "markeredgecolor": "black", "linestyle": "none"}
            axis.plot(*found, marker="*", zorder=5, label="_best", markeredgewidth=0.6, **star)
        shown += [value for _, value in curve.finite]
    plain(axis.set_ylabel(shortened(metric, 30), fontsize=TEXT))
    if spans_magnitudes(shown):
        axis.set_yscale("log")
    whole_epochs(axis)
    light_grid(axis)
    above(axis, draw_gaps(axis, gaps))


def _add_legend(figure: Any, names: Sequence[str], fitting: int) -> None:
    """A legend with names as they are; matplotlib hides those that begin with an underscore."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], markersize=3.5, linewidth=1.4, **line_look(index)) for index in range(len(names))
    ]
    legend = figure.legend(
        handles,
        [str(index) for index in range(len(names))],
        loc="outside upper left",
        ncols=fitting,
        fontsize=TEXT,
        frameon=False,
        handlelength=3.5,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        plain(text).set_text(name)
