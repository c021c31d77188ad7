"""What is marked in the learning curves beside the actions: commits, forks, stops and shadow stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .style import BLACK, BLUE, DASHES, GRAY, GREEN, PURPLE, shortened

_MOST = 6
"""Forks, or shadow conditions, that have a line of their own."""


@dataclass(frozen=True)
class Marks:
    """Epochs at whose end something happened, 0-based; -1 is before the first."""

    commits: Sequence[int] = ()
    """Epochs whose commit is still on disk."""
    origin: tuple[str, int] | None = None
    """The run that this one was forked from, and after which of its epochs."""
    forks: Sequence[tuple[str, int]] = ()
    """The runs that were forked from this one, and after which epochs."""
    shadow: Mapping[str, int] = field(default_factory=dict)
    """When each shadow condition would have stopped the run, by its name."""
    stop: int | None = None
    """The last epoch of a run that was stopped."""


@dataclass(frozen=True)
class MarkedLane:
    """A line under the curves, with a mark at the end of each of its epochs."""

    label: str
    epochs: tuple[int, ...]
    color: str
    marker: str
    rule: object = None
    """The dash of the lines that go up through the curves, ``None`` for none."""


def marked_lanes(marks: Marks) -> list[MarkedLane]:
    """The lines that these marks are drawn on, from top to bottom."""
    lanes = []
    if marks.origin is not None:
        run_id, epoch = marks.origin
        label = f"forked from {shortened(run_id)}"
        lanes.append(MarkedLane(_after(label, epoch), (epoch,), PURPLE, "<", DASHES[3]))
    if marks.commits:
        commits = tuple(sorted(set(marks.commits)))
        lanes.append(MarkedLane("commits on disk", commits, GREEN, "o"))
    lanes += _named("fork", marks.forks, BLUE, ">", DASHES[1])
    lanes += _named("shadow", list(marks.shadow.items()), GRAY, "s", DASHES[2])
    if marks.stop is not None:
        lanes.append(MarkedLane(_after("stopped", marks.stop), (marks.stop,), BLACK, "X", DASHES[0]))
    return lanes


def _named(
    kind: str, named: Sequence[tuple[str, int]], color: str, marker: str, rule: object
) -> list[MarkedLane]:
    """A line for each name, by epoch; those that there is no room for share one."""
    ordered = sorted(named, key=lambda each: (each[1], each[0]))
    shown = ordered if len(ordered) <= _MOST else ordered[: _MOST - 1]
    lanes = [
        MarkedLane(_after(f"{kind}: {shortened(name)}", epoch), (epoch,), color, marker, rule)
        for name, epoch in shown
    ]
    if len(shown) < len(ordered):
        rest = ordered[len(shown) :]
        epochs = tuple(epoch for _, epoch in rest)
        lanes.append(MarkedLane(f"{kind}: {len(rest)} more", epochs, color, marker, rule))
    return lanes


def _after(label: str, epoch: int) -> str:
    return f"{label}, epoch {epoch}" if epoch >= 0 else f"{label}, at the start"
