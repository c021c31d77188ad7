"""How much each parameter of a search matters."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import Any

from .style import BLUE, LABEL, SMALL, TEXT, TITLE, light_grid, new_figure, plain, shortened

_BAR = 0.27
"""Inches."""


def plot_importance(title: str, shares: Mapping[str, float], note: str = "") -> Any:
    """Parameters by their importance, the most important one on top.

    Args:
        title: What stands over the figure.
        shares: The importance of each, 0 or more; together 1.
        note: What it was computed with.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> figure = plot_importance("digits", {"lr": 0.8, "width": 0.2}, note="fANOVA, 40 trials")
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['lr', 'width']
    """
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    lines = fill(note, 100)
    figure = new_figure("plot_importance()", 1.1 + _BAR * len(ranked) + 0.13 * lines.count("\n"))
    plain(figure.suptitle(fill(title, 92), fontsize=TITLE))
    axis = figure.subplots()
    axis.barh(range(len(ranked)), [share for _, share in ranked], height=0.7, color=BLUE)
    for row, (_, share) in enumerate(ranked):
        text = f"{share:.2f}" if share >= 0.005 or share == 0 else "<0.01"
        axis.annotate(text, (share, row), (3, 0), textcoords="offset points", va="center", fontsize=SMALL)
    axis.set_ylim(len(ranked) - 0.4, -0.6)
    axis.set_xlim(0, max([share for _, share in ranked], default=1.0) * 1.1 or 1.0)
    light_grid(axis, "x")
    axis.set_yticks(range(len(ranked)), [shortened(name, LABEL) for name, _ in ranked], fontsize=TEXT)
    for label in axis.get_yticklabels():
        plain(label)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("importance, all together 1", fontsize=TEXT)
    plain(figure.supxlabel(lines, fontsize=SMALL))
    return figure
