"""Figures of runs. Matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .history import MetricHistory
from .steps import Step

_COLORS = {
    "process_data": "#54a24b",
    "train_epoch": "#4c78a8",
    "validate": "#f58518",
    "best_model": "#b279a2",
}
_OTHER = "#9d9d9d"


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
        ModuleNotFoundError: Without matplotlib, which the extra ``plot`` brings.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Drawing a figure needs matplotlib: pip install 'burr-lightning[plot]'"
        ) from error
    groups = _groups(history)
    heights = [3] * len(groups) + ([1.1] if steps else [])
    figure = Figure(figsize=(9, 1 + 0.9 * sum(heights)), layout="constrained")
    axes = list(figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    for axis, (label, names) in zip(axes, groups.items(), strict=False):
        _draw_curves(axis, label, names, history, monitor, best)
    if steps:
        _draw_steps(axes[-1], steps)
    figure.suptitle(title, fontsize=10)
    return figure


def _groups(history: MetricHistory) -> dict[str, list[str]]:
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
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(alpha=0.3)
    if names:
        axis.legend(fontsize=8)


def _draw_steps(axis: Any, steps: Sequence[Step]) -> None:
    """Each step as a bar over the time it took; time in which nothing ran is left out."""
    at, seen = 0.0, set()
    for step in steps:
        seconds = step.seconds or 0.0
        color = "#e45756" if step.failed else _COLORS.get(step.action, _OTHER)
        label = None if step.action in seen else step.action
        axis.barh(0, seconds, left=at, color=color, edgecolor="white", linewidth=0.4, label=label)
        if step.action == "train_epoch" and step.epoch is not None and len(steps) <= 80:
            where = {"ha": "center", "va": "center", "color": "white"}
            axis.text(at + seconds / 2, 0, str(step.epoch), fontsize=7, **where)
        at += seconds
        seen.add(step.action)
    axis.set_yticks([])
    axis.set_xlabel("seconds in the steps of the machine")
    axis.set_xlim(0, at or 1)
    axis.legend(fontsize=8, ncols=len(seen), loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False)
