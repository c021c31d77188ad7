"""All parameters of a search side by side: each trial is a line through what it was given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from .style import (
    BLUE,
    GRAY,
    ORANGE,
    SMALL,
    TEXT,
    TITLE,
    VERMILLION,
    WIDTH,
    above,
    new_figure,
    plain,
    shortened,
)
from .trials import Objective, Parameter, Tried, best_of, extent_of, round_ticks

_MOST = 7
"""Axes in a row."""
_ROW, _BESIDE = 2.7, 1.0
"""Inches: the height of a row, and what is beside its axes."""
_BEST_SHARE, _MOST_BEST = 0.1, 20
_MOST_TICKS = 9
_SCATTER = 0.35
_GOLDEN = 0.618034


@dataclass(frozen=True)
class _Scale:
    """One axis: where a trial lies on it, from 0 to 1, and what is written beside it."""

    name: str
    place: Callable[[Tried], float]
    ticks: Sequence[tuple[float, str]]
    better: str = ""
    """What is better on it, and upwards."""


def plot_parallel(
    title: str,
    tried: Sequence[Tried],
    objectives: Sequence[Objective],
    parameters: Sequence[Parameter],
    best: Sequence[int] = (),
) -> Any:
    """Each trial that came to a value as a line through its parameters and its values.

    The best ones are drawn over the others. The axes of values have what is better on top. Where there are
    many parameters, there are several rows, each with the axes of values.

    Args:
        title: What stands over the figure.
        tried: The trials.
        objectives: The values that the search is about.
        parameters: The parameters, one at least.
        best: The numbers of the best trials, for several directions; with one, it is the best tenth.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> from burr_lightning.plots import Objective, Parameter, Tried
        >>> objectives = [Objective("val_loss", "min")]
        >>> tried = [
        ...     Tried(0, "finished", {"lr": 0.1, "kind": "sgd"}, (0.9,)),
        ...     Tried(1, "pruned", {"lr": 0.001, "kind": "adam"}),
        ...     Tried(2, "finished", {"lr": 0.01, "kind": "adam"}, (0.4,)),
        ... ]
        >>> parameters = [Parameter("lr", log=True), Parameter("kind", choices=("sgd", "adam"))]
        >>> figure = plot_parallel("digits", tried, objectives, parameters)
    """
    valued = [trial for trial in tried if trial.values is not None]
    values = [_scale_of_values(objective, at, valued) for at, objective in enumerate(objectives)]
    fitting = max(_MOST - len(values), 2)
    rows = math.ceil(len(parameters) / fitting)
    wide = math.ceil(len(parameters) / rows)
    figure = new_figure("plot_parallel()", 0.9 + _ROW * rows)
    plain(figure.suptitle(fill(title, 92), fontsize=TITLE))
    axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    named = _groups(valued, objectives, best)
    legend: dict[str, Any] = {}
    for row, axis in enumerate(axes):
        scales = [_scale_of(each, valued) for each in parameters[row * wide : (row + 1) * wide]]
        legend |= _draw(axis, [*scales, *values], named, wide + len(values))
    above(axes[0], legend)
    return figure


def _groups(
    valued: Sequence[Tried], objectives: Sequence[Objective], best: Sequence[int]
) -> list[tuple[str, list[Tried], dict[str, Any]]]:
    """The lines, those first that are drawn below the others: what they are called and how they look."""
    finished = [trial for trial in valued if trial.fate == "finished"]
    pruned = [trial for trial in valued if trial.fate == "pruned"]
    first = best_of(finished, [objective.mode for objective in objectives])
    chosen = {*best}
    name = "the best ones"
    if first is not None:
        sign = 1 if objectives[0].mode == "min" else -1
        ranked = sorted(finished, key=lambda trial: sign * trial.values[0] if trial.values else math.inf)
        chosen = {t.number for t in ranked[: min(math.ceil(len(ranked) * _BEST_SHARE), _MOST_BEST)]}
        name = f"the best {len(chosen)}"
    top = [trial for trial in finished if trial.number in chosen and trial is not first]
    rest = [trial for trial in finished if trial.number not in chosen and trial is not first]
    many = len(valued) > 100
    thin = {"color": GRAY, "linewidth": 0.4 if many else 0.7, "alpha": 0.3 if many else 0.6}
    dotted = {"linestyle": (0, (1.2, 1.8)), "linewidth": 0.5 if many else 0.9}
    found = [
        ("pruned", pruned, {"color": ORANGE, "alpha": 0.4 if many else 0.9, **dotted}),
        ("finished", rest, thin),
        (name, top, {"color": BLUE, "linewidth": 1.2}),
    ]
    if first is not None:
        look = {"color": VERMILLION, "linewidth": 2.0, "linestyle": (0, (5, 1.5)), "marker": "o"}
        found.append((f"the best: trial {first.number}", [first], {**look, "markersize": 4.5}))
    return [group for group in found if group[1]]


def _draw(
    axis: Any,
    scales: Sequence[_Scale],
    groups: Sequence[tuple[str, list[Tried], dict[str, Any]]],
    wide: int,
) -> dict[str, Any]:
    from matplotlib.lines import Line2D

    legend: dict[str, Any] = {}
    for order, (name, trials, look) in enumerate(groups):
        for trial in trials:
            at = [scale.place(trial) for scale in scales]
            axis.plot(range(len(scales)), at, solid_capstyle="round", zorder=2 + order, **look)
        legend[name] = Line2D([], [], **{**look, "alpha": 1.0})  # one pale line alone would not be seen
    inches = (WIDTH - _BESIDE) / max(wide - 1, 1)
    lines = 2 if max(len(scale.name) for scale in scales) > _letters(0.9 * inches, TEXT) else 1
    for number, scale in enumerate(scales):
        _draw_scale(axis, number, scale, inches, lines)
    axis.set_xlim(-0.45, wide - 0.6)
    axis.set_ylim(-0.06, 1.1)
    axis.set_axis_off()
    return legend


def _draw_scale(axis: Any, at: int, scale: _Scale, inches: float, lines: int) -> None:
    """An axis, its ticks to the left of it, and its name below; on two lines, every other name is lower."""
    axis.plot([at, at], [0, 1], color="black", linewidth=0.9, zorder=8)
    for place, text in scale.ticks:
        axis.plot([at - 0.02, at], [place, place], color="black", linewidth=0.7, zorder=8)
        label = shortened(text, max(_letters(0.75 * inches, SMALL), 4))
        plain(axis.annotate(label, (at, place), (-4, 0), **_BESIDE_AXIS))
    room = _letters(0.9 * inches * lines, TEXT)
    lower = 1.3 * TEXT * (at % lines)
    beside: dict[str, Any] = {
        "ha": "center",
        "fontsize": TEXT,
        "textcoords": "offset points",
        "annotation_clip": False,
    }
    plain(axis.annotate(shortened(scale.name, room), (at, 0), (0, -8 - lower), va="top", **beside))
    if scale.better:
        axis.annotate(f"↑ {scale.better}", (at, 1), (0, 5), va="bottom", **beside)


def _letters(inches: float, points: float) -> int:
    """How many letters fit side by side."""
    return int(inches / (points * 0.62 / 72))


_BESIDE_AXIS: dict[str, Any] = {
    "textcoords": "offset points",
    "ha": "right",
    "va": "center",
    "fontsize": SMALL,
    "zorder": 9,
    "bbox": {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6},
}


def _scale_of(parameter: Parameter, valued: Sequence[Tried]) -> _Scale:
    name = parameter.name
    if parameter.choices is not None:
        return _scale_of_choices(parameter, parameter.choices)
    found = [parameter.at(trial.params[name]) for trial in valued if name in trial.params]
    finite = [value for value in found if math.isfinite(value)] or [1.0]
    whole = all(value == int(value) for value in finite)
    share = _share(min(finite), max(finite), log=parameter.log)

    def place(trial: Tried) -> float:
        return share(parameter.at(trial.params[name])) if name in trial.params else math.nan

    ticks = round_ticks(min(finite), max(finite), log=parameter.log, whole=whole)
    return _Scale(name, place, [(share(value), _in_short(value)) for value in ticks])


def _scale_of_choices(parameter: Parameter, choices: Sequence[str]) -> _Scale:
    last = max(len(choices) - 1, 1)
    middle = 0.5 if len(choices) == 1 else 0.0

    def place(trial: Tried) -> float:
        if parameter.name not in trial.params:
            return math.nan
        beside = _SCATTER * ((trial.number * _GOLDEN) % 1 - 0.5) / max(len(choices), 8)
        return min(max(middle + parameter.at(trial.params[parameter.name]) / last + beside, 0.0), 1.0)

    step = math.ceil(len(choices) / _MOST_TICKS)
    ticks = [(middle + at / last, choices[at]) for at in range(0, len(choices), step)]
    return _Scale(parameter.name, place, ticks)


def _scale_of_values(objective: Objective, at: int, valued: Sequence[Tried]) -> _Scale:
    """The axis of a value, with what is better on top; what is too bad is at its lower end."""
    extent = extent_of([trial.values[at] for trial in valued if trial.values is not None], objective.mode)
    share = _share(extent.low, extent.high, log=extent.log)
    upwards = (lambda value: 1 - share(value)) if objective.mode == "min" else share

    def place(trial: Tried) -> float:
        value = trial.values[at] if trial.values is not None else math.nan
        return upwards(value) if extent.shows(value) else 0.0

    ticks = round_ticks(extent.low, extent.high, log=extent.log)
    better = "lower" if objective.mode == "min" else "higher"
    return _Scale(objective.name, place, [(upwards(value), _in_short(value)) for value in ticks], better)


def _in_short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.4g}"


def _share(low: float, high: float, *, log: bool) -> Callable[[float], float]:
    """Where a value lies between two others, from 0 to 1."""
    if high == low:
        return lambda value: 0.5
    if log:
        return lambda value: math.log(value / low) / math.log(high / low)
    return lambda value: (value - low) / (high - low)
