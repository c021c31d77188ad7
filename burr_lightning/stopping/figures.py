"""Figures of a comparison. Matplotlib is imported when one is drawn."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..recording import Recording
from .stops import Stop
from .summaries import TO_THE_END

if TYPE_CHECKING:
    from .comparing import Comparison

_SHOWN = 12
"""Histories that a figure has room for."""
_MARKERS = "ovs^D*PXp<>h"


def _figure(**options: Any) -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Drawing a figure needs matplotlib: pip install 'burr-lightning[plot]'"
        ) from error
    return Figure(layout="constrained", **options)


def plot_stops(comparison: Comparison) -> Any:
    """The monitored metric of each history, with the stop of every condition marked on it."""
    shown = comparison.histories[:_SHOWN]
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    names = [one.condition for one in comparison.summaries[:-2]]
    height = 3.1 * rows + 0.9 + 0.22 * len(names) if len(shown) > 1 else 4.5 + 0.22 * len(names)
    figure = _figure(figsize=(max(4.2 * columns, 8), height))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for index, (axis, recording) in enumerate(zip(axes, shown, strict=False)):
        stops = comparison.stops[index * len(names) : (index + 1) * len(names)]
        _draw_history(axis, recording, comparison.monitor.name, stops)
    if len(shown) == 1:
        _tell_epochs(axes[0], comparison.stops)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", fontsize=8, ncols=1 if len(names) < 5 else 2)
    left_out = len(comparison.histories) - len(shown)
    more = f" (the first {_SHOWN} of {len(comparison.histories)} histories)" if left_out else ""
    figure.suptitle(f"Where each condition stops; hollow: it does not{more}", fontsize=11)
    return figure


def _draw_history(axis: Any, recording: Recording, monitor: str, stops: Sequence[Stop]) -> None:
    series = recording.series[monitor]
    at = np.asarray(series.at, dtype=np.int64)
    values = np.asarray(series.values, dtype=np.float64)
    where = _epochs_gone(recording)
    axis.plot(where[at], values, "-", color="#4c78a8", linewidth=1.3, label=monitor)
    for number, stop in enumerate(stops):
        check = len(recording) - 1 if stop.check is None else stop.check
        newest = int(np.searchsorted(at, check, side="right")) - 1
        if newest < 0:
            continue
        marker = _MARKERS[number % len(_MARKERS)]
        filled = f"C{(number + 1) % 10}" if stop.check is not None else "none"
        axis.plot(
            where[check],
            values[newest],
            marker,
            markersize=8 + 2.5 * (len(stops) - number) / len(stops),
            markerfacecolor=filled,
            markeredgecolor=f"C{(number + 1) % 10}",
            linestyle="none",
            label=stop.condition,
        )
    axis.set_title(textwrap.fill(recording.name, 46), fontsize=8)
    axis.set_xlabel("epoch")
    axis.set_ylabel(monitor)
    axis.grid(alpha=0.3)


def _tell_epochs(axis: Any, stops: Sequence[Stop]) -> None:
    for stop in stops:
        for line in axis.get_lines():
            if line.get_label() == stop.condition:
                line.set_label(
                    f"{stop.condition} ({'never' if stop.epoch is None else f'epoch {stop.epoch}'})"
                )


def _epochs_gone(recording: Recording) -> Any:
    """Where each check lies: at its epoch where it ends it, evenly before that where it does not."""
    starts = np.searchsorted(recording.epochs, recording.epochs, side="left")
    ends = np.searchsorted(recording.epochs, recording.epochs, side="right")
    place = np.arange(len(recording)) - starts + 1
    return recording.epochs - 1 + place / (ends - starts)


def plot_tradeoff(comparison: Comparison) -> Any:
    """Mean regret over mean epochs: each condition, the Pareto front, and i-Epoch."""
    figure = _figure(figsize=(8.5, 5.5))
    axis = figure.subplots()
    fixed = comparison.fixed
    axis.plot(fixed.costs, fixed.regrets, "-", color="#9d9d9d", linewidth=1.2, label="i-Epoch, any number")
    front = comparison.pareto_front()
    if front:
        axis.step(
            [one.mean_epochs for one in front],
            [one.mean_regret for one in front],
            where="post",
            color="#e45756",
            linewidth=1.2,
            label="Pareto front of the conditions",
        )
    for number, one in enumerate(comparison.summaries):
        if one.mean_regret is None:
            continue
        baseline = number >= len(comparison.summaries) - 2
        axis.plot(
            one.mean_epochs,
            one.mean_regret,
            ("X" if one.condition == TO_THE_END else "D") if baseline else _MARKERS[number % len(_MARKERS)],
            color="#4d4d4d" if baseline else f"C{(number + 1) % 10}",
            markersize=7 if baseline else 9,
            linestyle="none",
            label=one.condition,
        )
    _spread(axis, [one.mean_regret for one in comparison.summaries if one.mean_regret])
    axis.set_xlabel("epochs trained, mean")
    axis.set_ylabel(f"regret in {comparison.monitor.name}, mean")
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    histories = len(comparison.histories)
    axis.set_title(f"What stopping costs ({histories} histor{'y' if histories == 1 else 'ies'})", fontsize=11)
    return figure


def _spread(axis: Any, regrets: Sequence[float]) -> None:
    """Draw regrets of very different sizes apart: in powers of ten, with a place for 0."""
    if regrets and max(regrets) > 20 * min(regrets):
        axis.set_yscale("symlog", linthresh=min(regrets))
        axis.set_ylim(bottom=-0.3 * min(regrets))
