"""A run as a notebook shows it: what it is, how it stands, and its curve. All text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from ..amounts import number
from .words import best_in_words, status_in_words

if TYPE_CHECKING:
    from .run import Run

_WIDTH, _HEIGHT, _MARGIN = 360, 90, 6
_MOST_POINTS = 400
_LONGEST = 300


def as_html(run: Run) -> str:
    """One run: facts, and the curve of what is monitored."""
    facts = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th>"
        f"<td style='text-align:left'>{escape(_cut(value))}</td></tr>"
        for name, value in _facts(run)
    )
    return f"<div><table><caption><b>{escape(run.run_id)}</b></caption>{facts}</table>{_curve(run)}</div>"


def runs_as_html(runs: Sequence[Run]) -> str:
    """Many runs: a table with a line for each."""
    names = ("run", "project", "status", "epoch", "best", "forked from", "created")
    head = "".join(f"<th>{name}</th>" for name in names)
    lines = "".join(f"<tr>{_cells(_line(run))}</tr>" for run in runs)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _facts(run: Run) -> Iterable[tuple[str, str]]:
    yield "project", run.project
    yield "status", status_in_words(run)
    if run.parent is not None:
        yield "forked from", str(run.parent)
    if run.question is not None:
        yield "asks", run.question.text
    if run.error is not None:
        yield "error", run.error
    if run.rows_error is not None:
        yield "state", run.rows_error
    if run.epoch >= 0:
        yield "epoch", str(run.epoch)
    if best := best_in_words(run):
        yield "best", best
    if run.stop_reason is not None:
        yield "why it stopped", run.stop_reason
    if run.hparams:
        yield "hyperparameters", ", ".join(f"{name}={value}" for name, value in run.hparams.items())
    yield "created", f"{run.created:%Y-%m-%d %H:%M:%S}"


def _line(run: Run) -> Iterable[str]:
    yield run.run_id
    yield run.project
    yield status_in_words(run)
    yield str(run.epoch) if run.epoch >= 0 else "–"
    yield best_in_words(run) or "–"
    yield str(run.parent) if run.parent else "–"
    yield f"{run.created:%Y-%m-%d %H:%M}"


def _cells(values: Iterable[str]) -> str:
    return "".join(f"<td style='text-align:left'>{escape(_cut(value))}</td>" for value in values)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _curve(run: Run) -> str:
    """The monitored metric over the epochs, as SVG; empty where there is nothing to draw."""
    monitor: Any = run.state["monitor"] if run.state else None
    if monitor is None or monitor["metric"] not in run.history:
        return ""
    values = list(run.history[monitor["metric"]])
    every = math.ceil(len(values) / _MOST_POINTS)
    points = [(epoch, value) for epoch, value in enumerate(values) if math.isfinite(value)]
    points = [point for at, point in enumerate(points) if at % every == 0 or at == len(points) - 1]
    if len(points) < 2:
        return ""
    name = escape(monitor["metric"])
    from ..plots.groups import curve_of, gaps_in_words  # here, for all figures come with it

    gaps = gaps_in_words(curve_of(run.history, monitor["metric"]).not_finite)
    return (
        f"<svg width='{_WIDTH}' height='{_HEIGHT}' role='img' aria-label='{name} over the epochs'>"
        f"<polyline fill='none' stroke='currentColor' stroke-width='1.5' points='{_places(points)}'/></svg>"
        f"<div><small>{name}: {number(points[0][1])} in epoch {points[0][0]}, "
        f"{number(points[-1][1])} in epoch {points[-1][0]}{f'; {gaps}' if gaps else ''}</small></div>"
    )


def _places(points: Sequence[tuple[int, float]]) -> str:
    epochs, values = [epoch for epoch, _ in points], [value for _, value in points]
    wide, low, high = max(epochs[-1] - epochs[0], 1), min(values), max(values)
    tall = (high - low) or 1.0
    across, down = _WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN
    return " ".join(
        f"{_MARGIN + across * (epoch - epochs[0]) / wide:.1f},{_MARGIN + down * (high - value) / tall:.1f}"
        for epoch, value in points
    )
