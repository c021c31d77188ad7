"""Figures of a comparison. Matplotlib is imported when one is drawn."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..recording import Recording
from .pictures import add_legend, new_figure
from .printed import without_regret
from .stops import Stop
from .summaries import TO_THE_END, Summary

if TYPE_CHECKING:
    from .comparison import Comparison

_SHOWN = 12
"""Histories that a figure has room for."""
_MARKERS = "ovs^D*PXp<>h"
_CURVE: dict[str, Any] = {"linestyle": "-", "color": "#4c78a8", "linewidth": 1.3}


def plot_stops(comparison: Comparison) -> Any:
    """The monitored metric of each history, with the stop of every condition marked on it."""
    shown = comparison.histories[:_SHOWN]
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    names = [one.condition for one in comparison.summaries[:-2]]
    height = 3.1 * rows + 0.9 + 0.22 * len(names) if len(shown) > 1 else 4.5 + 0.22 * len(names)
    figure = new_figure(figsize=(max(4.2 * columns, 8), height))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, (axis, recording) in enumerate(zip(axes, shown, strict=False)):
        stops = comparison.stops[index * len(names) : (index + 1) * len(names)]
        _draw_history(axis, recording, comparison.monitor.name, stops)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    labels = _with_epochs(comparison.stops) if len(shown) == 1 else names
    handles = [_curve_handle(), *(_stop_handle(number, len(names)) for number in range(len(names)))]
    options = {"loc": "outside lower center", "fontsize": 8, "ncols": 1 if len(names) < 5 else 2}
    add_legend(figure, handles, [comparison.monitor.name, *labels], **options)
    left_out = len(comparison.histories) - len(shown)
    more = f" (the first {_SHOWN} of {len(comparison.histories)} histories)" if left_out else ""
    figure.suptitle(f"Where each condition stops; hollow: it does not{more}", fontsize=11)
    return figure


def _draw_history(axis: Any, recording: Recording, monitor: str, stops: Sequence[Stop]) -> None:
    series = recording.series[monitor]
    at = np.asarray(series.at, dtype=np.int64)
    values = np.asarray(series.values, dtype=np.float64)
    where = _epochs_gone(recording)
    axis.plot(where[at], values, label=monitor, **_CURVE)
    for number, stop in enumerate(stops):
        check = len(recording) - 1 if stop.check is None else stop.check
        newest = int(np.searchsorted(at, check, side="right")) - 1
        if newest < 0:
            continue
        look = _stop_look(number, len(stops), filled=stop.check is not None)
        axis.plot(where[check], values[newest], label=stop.condition, **look)
    axis.set_title(textwrap.fill(recording.name, 46), fontsize=8)
    axis.set_xlabel("epoch")
    axis.set_ylabel(monitor)
    axis.grid(alpha=0.3)


def _stop_look(number: int, conditions: int, *, filled: bool) -> dict[str, Any]:
    """How the stops of a condition are marked; earlier ones are larger, so that none hides another."""
    color = f"C{(number + 1) % 10}"
    return {
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 8 + 2.5 * (conditions - number) / conditions,
        "markerfacecolor": color if filled else "none",
        "markeredgecolor": color,
        "linestyle": "none",
    }


def _curve_handle() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], **_CURVE)


def _stop_handle(number: int, conditions: int) -> Any:
    """What stands for a condition in the legend, wherever and whether or not it stops."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **_stop_look(number, conditions, filled=True))


def _with_epochs(stops: Sequence[Stop]) -> list[str]:
    epochs = ["never" if stop.epoch is None else f"epoch {stop.epoch}" for stop in stops]
    return [f"{stop.condition} ({epoch})" for stop, epoch in zip(stops, epochs, strict=True)]


def _epochs_gone(recording: Recording) -> Any:
    """Where each check lies: at its epoch where it ends it, evenly before that where it does not."""
    starts = np.searchsorted(recording.epochs, recording.epochs, side="left")
    ends = np.searchsorted(recording.epochs, recording.epochs, side="right")
    place = np.arange(len(recording)) - starts + 1
    return recording.epochs - 1 + place / (ends - starts)


def plot_tradeoff(comparison: Comparison) -> Any:
    """Mean regret over mean epochs: each condition, the Pareto front, and i-Epoch."""
    figure = new_figure(figsize=(8.5, 5.5))
    axis = figure.subplots()
    fixed = comparison.fixed
    regrets = np.where(np.isfinite(fixed.regrets), fixed.regrets, math.nan)
    axis.plot(fixed.costs, regrets, "-", color="#9d9d9d", linewidth=1.2, label="i-Epoch, any number")
    _draw_front(axis, comparison.pareto_front())
    for number, one in enumerate(comparison.summaries):
        _draw_mean(axis, one, number, baseline=number >= len(comparison.summaries) - 2)
    means = [one.mean_regret for one in comparison.summaries]
    finite = [regret for regret in means if regret is not None and math.isfinite(regret)]
    if not finite:
        nothing = "No history has a finite best value,\nso no regret can be drawn."
        axis.text(0.5, 0.5, nothing, ha="center", va="center", transform=axis.transAxes)
    _spread(axis, [regret for regret in finite if regret])
    axis.set_xlabel("epochs trained, mean")
    axis.set_ylabel(f"regret in {comparison.monitor.name}, mean")
    axis.grid(alpha=0.3)
    handles = axis.get_lines()
    names = [handle.get_label() for handle in handles]
    add_legend(figure, handles, names, loc="outside right upper", fontsize=8)
    axis.set_title(_tradeoff_title(comparison), fontsize=11)
    return figure


def _draw_front(axis: Any, front: Sequence[Summary]) -> None:
    if front:
        axis.step(
            [one.mean_epochs for one in front],
            [one.mean_regret for one in front],
            where="post",
            color="#e45756",
            linewidth=1.2,
            label="Pareto front of the conditions",
        )


def _draw_mean(axis: Any, one: Summary, number: int, *, baseline: bool) -> None:
    """A mark for a condition or a baseline; one that has no place in the figure is in its legend alone."""
    place: tuple[Any, Any] = (one.mean_epochs, one.mean_regret)
    name = one.condition
    if one.mean_regret is None or not math.isfinite(one.mean_regret):
        place = ([], [])
        name += " (no regret)" if one.mean_regret is None else " (infinite regret: not drawn)"
    axis.plot(
        *place,
        ("X" if one.condition == TO_THE_END else "D") if baseline else _MARKERS[number % len(_MARKERS)],
        color="#4d4d4d" if baseline else f"C{(number + 1) % 10}",
        markersize=7 if baseline else 9,
        linestyle="none",
        label=name,
    )


def _tradeoff_title(comparison: Comparison) -> str:
    histories = len(comparison.histories)
    title = f"What stopping costs ({histories} histor{'y' if histories == 1 else 'ies'})"
    left_out = without_regret(comparison)
    return f"{title}\n{textwrap.fill(left_out, 64)}" if left_out else title


def _spread(axis: Any, regrets: Sequence[float]) -> None:
    """Draw regrets of very different sizes apart: in powers of ten, with a place for 0."""
    if regrets and max(regrets) > 20 * min(regrets):
        axis.set_yscale("symlog", linthresh=min(regrets))
        axis.set_ylim(bottom=-0.3 * min(regrets))
