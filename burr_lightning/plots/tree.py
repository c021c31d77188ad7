"""The tree of forks: runs as lines over the epochs, each leaving its parent where it was forked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .branches import Branch, ordered
from .style import (
    BLACK,
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PURPLE,
    SMALL,
    TEXT,
    TITLE,
    VERMILLION,
    WIDTH,
    columns,
    light_grid,
    new_figure,
    plain,
    shortened,
    whole_epochs,
)

_LOOKS = {
    "finished": (GREEN, "o", "-"),
    "running": (BLUE, ">", "-"),
    "paused": (PURPLE, "s", "-"),
    "interrupted": (ORANGE, "D", (0, (5, 1.5))),
    "failed": (VERMILLION, "X", (0, (1.2, 1.2))),
}
"""The color, the mark at its end and the line of a run, by its status."""
_OTHER = (GRAY, "o", "-")
_ROW = 0.24
"""Inches."""


def plot_tree(branches: Sequence[Branch], title: str = "") -> Any:
    """Runs as lines over the epochs, each fork below its parent and leaving it where it was forked.

    Args:
        branches: The runs.
        title: What stands over the figure.

    Returns:
        A matplotlib figure.

    Raises:
        MissingExtraError: Without matplotlib, which the extra ``plot`` brings.

    Example:
        >>> parent = Branch("first", None, -1, 10, "finished")
        >>> fork = Branch("lower-rate", "first", 6, 12, "running", label="0.41", best=9)
        >>> figure = plot_tree([parent, fork])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['first', 'lower-rate']
    """
    rows = ordered(branches)
    figure = new_figure("plot_tree()", 1.2 + _ROW * max(len(rows), 2))
    axis = figure.subplots()
    row_of = {branch.run_id: row for row, branch in enumerate(rows)}
    for row, branch in enumerate(rows):
        _draw_branch(axis, row, branch, row_of)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    last = max((branch.ends for branch in rows), default=0.0)
    axis.set_xlim(-0.5 - max(0.4, 0.02 * last), last + max(0.4, 0.02 * last))
    whole_epochs(axis)
    light_grid(axis, "x")
    axis.set_xlabel("epoch", fontsize=TEXT)
    _label_rows(axis, rows)
    _add_legend(figure, [branch.status for branch in rows], any(b.best is not None for b in rows))
    if title:
        plain(figure.suptitle(title, fontsize=TITLE))
    return figure


def _draw_branch(axis: Any, row: int, branch: Branch, row_of: dict[str, int]) -> None:
    color, marker, dash = _LOOKS.get(branch.status, _OTHER)
    above = row_of.get(branch.parent) if branch.parent is not None else None
    if above is not None and above < row:
        axis.plot([branch.begins] * 2, [above, row], "-", color=GRAY, linewidth=1.0, zorder=1, label="_fork")
    elif branch.parent is not None:
        axis.plot([-0.5, branch.begins], [row, row], ":", color=GRAY, linewidth=1.2, label="_before")
    axis.plot(
        [branch.begins, branch.ends], [row, row], linestyle=dash, color=color, linewidth=2.4, label="_run"
    )
    axis.plot([branch.ends], [row], marker, color=color, markersize=6, label="_end", clip_on=False)
    if branch.best is not None and branch.best > branch.epoch:
        star = {"color": BLACK, "markersize": 9, "markeredgecolor": "white", "zorder": 5}
        axis.plot([branch.best], [row], "*", label="_best", **star)


def _label_rows(axis: Any, rows: Sequence[Branch]) -> None:
    """A run's id left of its line, and what is said of it at the right."""
    axis.set_yticks(range(len(rows)), [shortened(branch.run_id, 30) for branch in rows], fontsize=TEXT)
    axis.tick_params(axis="y", length=0)
    for text in axis.get_yticklabels():
        plain(text)
    right = axis.secondary_yaxis("right")
    right.set_yticks(range(len(rows)), [_said(branch, rows) for branch in rows], fontsize=SMALL)
    right.tick_params(axis="y", length=0)
    right.spines["right"].set_visible(False)
    for text in right.get_yticklabels():
        plain(text)


def _said(branch: Branch, rows: Sequence[Branch]) -> str:
    known = {other.run_id for other in rows}
    said = [branch.label] if branch.label else []
    if branch.parent is not None and branch.parent not in known:
        said.append(f"from {shortened(branch.parent)}, which is not shown")
    return ", ".join(said)


def _add_legend(figure: Any, statuses: Sequence[str], has_best: bool) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for status in dict.fromkeys(statuses):
        color, marker, dash = _LOOKS.get(status, _OTHER)
        look: dict[str, Any] = {
            "color": color,
            "marker": marker,
            "linestyle": dash,
            "linewidth": 2.4,
            "markersize": 6,
        }
        handles.append(Line2D([], [], label=status, **look))
    if has_best:
        handles.append(
            Line2D([], [], color=BLACK, marker="*", markersize=9, linestyle="none", label="best epoch")
        )
    if handles:
        fitting = columns([str(handle.get_label()) for handle in handles], WIDTH)
        place = {"loc": "outside lower center", "ncols": fitting, "fontsize": TEXT, "frameon": False}
        figure.legend(handles=handles, handlelength=2.5, columnspacing=1.2, **place)
