"""What each parameter of a search does to each value: a panel for each pair."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from textwrap import fill
from typing import Any

from ..amounts import number as in_short
from .style import SMALL, TEXT, TITLE, WIDTH, columns, light_grid, new_figure, plain, shortened
from .trials import (
    STAR,
    Extent,
    Fate,
    Objective,
    Parameter,
    Tried,
    best_of,
    extent_of,
    mark_look,
    round_ticks,
    set_extent,
)

_WIDE = 3
"""Panels side by side."""
_PANEL = 2.1
"""Inches."""
_SCATTER = 0.5
"""The share of a choice's place that its marks are spread over, so that they do not hide each other."""
_GOLDEN = 0.618034
_MOST_CHOICES = 12
"""That are named."""
_LONGEST = 14
"""Letters of a choice's name."""
_AIR = 4
"""Pixels between two of them."""


def plot_slices(
    title: str, tried: Sequence[Tried], objectives: Sequence[Objective], parameters: Sequence[Parameter]
) -> Any:
    """The values of all trials over each of their parameters.

    Trials that failed have no value; they are marked at the bottom.

    Args:
        title: What stands over the figure.
        tried: The trials.
        objectives: The values that the search is about.
        parameters: The parameters, one at least.

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
        >>> figure = plot_slices("digits", tried, objectives, parameters)
        >>> [axis.get_xlabel() for axis in figure.axes]
        ['lr', 'kind']
    """
    wide = min(_WIDE, len(parameters))
    rows = math.ceil(len(parameters) / wide)
    figure = new_figure("plot_slices()", 0.9 + _PANEL * rows * len(objectives))
    plain(figure.suptitle(fill(title, 92), fontsize=TITLE))
    axes = figure.subplots(rows * len(objectives), wide, squeeze=False)
    blocks = [axes[number * rows : (number + 1) * rows].ravel() for number in range(len(objectives))]
    legend: dict[str, Any] = {}
    best = best_of(tried, [objective.mode for objective in objectives])
    for number, objective in enumerate(objectives):
        block = blocks[number]
        extent = extent_of([t.values[number] for t in tried if t.values is not None], objective.mode)
        for at, axis in enumerate(block):
            if at >= len(parameters):
                axis.set_axis_off()
                continue
            legend |= _draw(axis, tried, number, extent, parameters[at], best)
            _label_parameter(axis, tried, parameters[at], wide)
            if at % wide:
                axis.tick_params(labelleft=False)
            else:
                plain(axis.set_ylabel(shortened(objective.name, 24), fontsize=TEXT))
    _add_legend(figure, legend)
    of_choices = [at for at, parameter in enumerate(parameters) if parameter.choices is not None]
    _turn_what_collides(figure, [block[at] for block in blocks for at in of_choices])
    return figure


def _add_legend(figure: Any, marks: dict[str, Any]) -> None:
    fitting = columns(list(marks), WIDTH - 0.4)
    options = {"ncols": fitting, "fontsize": TEXT, "frameon": False, "columnspacing": 1.2}
    figure.legend(list(marks.values()), list(marks), loc="outside lower left", **options)


def _draw(
    axis: Any,
    tried: Sequence[Tried],
    number: int,
    extent: Extent,
    parameter: Parameter,
    best: Tried | None,
) -> dict[str, Any]:
    """The marks of all trials, and what each of them is called."""
    legend: dict[str, Any] = {}
    fates: tuple[Fate, ...] = ("finished", "pruned", "failed")
    for fate in fates:
        own = [(t, _place(t, parameter)) for t in tried if t.fate == fate and parameter.name in t.params]
        look = mark_look(fate, len(tried))
        valued = [(at, t.values[number]) for t, at in own if t.values is not None]
        shown = [(at, value) for at, value in valued if extent.shows(value)]
        cut = [at for at, value in valued if not extent.shows(value)]
        if shown:
            [legend[fate]] = axis.plot(*zip(*shown, strict=True), **look)
        if cut:
            arrow = {**look, "marker": "^" if extent.mode == "min" else "v", "markerfacecolor": "white"}
            [legend["worse than the axis shows"]] = axis.plot(cut, [extent.edge] * len(cut), **arrow)
        lost = [at for t, at in own if t.values is None]
        if lost:
            bottom = {"transform": axis.get_xaxis_transform(), "clip_on": False}
            [legend[f"{fate}, no value"]] = axis.plot(lost, [0.0] * len(lost), **look, **bottom)
    if best is not None and best.values is not None and parameter.name in best.params:
        star = (_place(best, parameter), best.values[number])
        [legend[f"the best: trial {best.number}"]] = axis.plot(*star, **STAR)
    set_extent(axis, extent)
    light_grid(axis)
    return legend


def _place(trial: Tried, parameter: Parameter) -> float:
    """Where a trial lies; beside the middle of its choice, so that not all lie on top of each other."""
    at = parameter.at(trial.params[parameter.name])
    if parameter.choices is None:
        return at
    return at + _SCATTER * ((trial.number * _GOLDEN) % 1 - 0.5)


def _label_parameter(axis: Any, tried: Sequence[Tried], parameter: Parameter, wide: int) -> None:
    plain(axis.set_xlabel(shortened(parameter.name, 72 // wide), fontsize=TEXT))
    axis.tick_params(labelsize=SMALL)
    if parameter.choices is not None:
        _label_choices(axis, parameter.choices, wide)
        return
    found = [parameter.at(t.params[parameter.name]) for t in tried if parameter.name in t.params]
    finite = [value for value in found if math.isfinite(value)]
    if parameter.log:
        axis.set_xscale("log")
        if finite and max(finite) < 10 * min(finite):  # there may be no power of ten to be marked
            marked = round_ticks(min(finite), max(finite), log=True)[:: 1 if wide == 1 else 2]
            axis.set_xticks(marked, [in_short(value) for value in marked], fontsize=SMALL)
        axis.tick_params(axis="x", which="minor", labelbottom=False)
    else:
        from matplotlib.ticker import MaxNLocator

        whole = all(value == int(value) for value in finite)
        axis.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=whole))


def _label_choices(axis: Any, choices: Sequence[str], wide: int) -> None:
    """Name the choices; of too many, some."""
    step = math.ceil(len(choices) / (2 * _MOST_CHOICES if wide == 1 else _MOST_CHOICES))
    named = range(0, len(choices), step)
    axis.set_xticks(list(named), [shortened(choices[at], _LONGEST) for at in named], fontsize=SMALL)
    for label in axis.get_xticklabels():
        plain(label)
    axis.set_xlim(-0.6, len(choices) - 0.4)


def _turn_what_collides(figure: Any, axes: Iterable[Any]) -> None:
    """Write the choices upright where they would lie over each other side by side."""
    figure.draw_without_rendering()
    for axis in axes:
        boxes = [label.get_window_extent() for label in axis.get_xticklabels()]
        if any(one.x1 + _AIR > other.x0 for one, other in pairwise(boxes)):
            axis.tick_params(axis="x", labelrotation=90)
