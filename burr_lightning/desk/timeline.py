"""Where a run's time went: a lane for each action, along the time in which something ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..steps import Step

WIDTH = 1000.0
"""How wide a lane is, in units of the picture."""

_NARROWEST = 1.0
"""Bars that would be narrower than this, or closer together, are drawn as one."""
_SHORTEST_BREAK = 0.02
"""A pause between two steps that is longer than this share of all steps' time is cut out,"""
_SHORTEST_BREAK_SECONDS = 1.0
"""if it is longer than this as well."""


@dataclass(frozen=True)
class Bar:
    """A stretch of a lane."""

    at: float
    width: float
    failed: bool


@dataclass(frozen=True)
class Lane:
    """One action: its bars, and its numbers."""

    action: str
    bars: tuple[Bar, ...]
    times: int
    seconds: float
    longest: float
    failed: int


@dataclass(frozen=True)
class Cut:
    """A time in which nothing ran, drawn as a line."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Timeline:
    """All lanes of a run."""

    lanes: tuple[Lane, ...]
    cuts: tuple[Cut, ...]
    seconds: float
    """What the steps took together."""

    @property
    def idle(self) -> float:
        """Seconds that were cut out."""
        return sum(cut.seconds for cut in self.cuts)


def timeline(steps: Sequence[Step]) -> Timeline:
    """The lanes of a machine's steps, in the order in which their actions first ran."""
    spans, cuts, length = _placed(steps)
    scale = WIDTH / length if length else 0.0
    actions = dict.fromkeys(step.action for step in steps)
    lanes = tuple(
        _lane(action, [(step, *span) for step, span in zip(steps, spans, strict=True)], scale)
        for action in actions
    )
    shown = tuple(Cut(cut.at * scale, cut.seconds) for cut in cuts)
    return Timeline(lanes, shown, sum(step.seconds or 0.0 for step in steps))


def _placed(steps: Sequence[Step]) -> tuple[list[tuple[float, float]], list[Cut], float]:
    """When each step began and ended, in seconds of the drawn time, the cuts, and how long that is."""
    whole = sum(step.seconds or 0.0 for step in steps)
    longest = max(whole * _SHORTEST_BREAK, _SHORTEST_BREAK_SECONDS)
    spans: list[tuple[float, float]] = []
    cuts: list[Cut] = []
    at, before = 0.0, None
    for step in steps:
        pause = max((step.started - before).total_seconds(), 0.0) if before is not None else 0.0
        if pause > longest:
            cuts.append(Cut(at, pause))
        else:
            at += pause
        spans.append((at, at + (step.seconds or 0.0)))
        at, before = spans[-1][1], step.ended or step.started
    return spans, cuts, at


def _lane(action: str, placed: Sequence[tuple[Step, float, float]], scale: float) -> Lane:
    own = [(step, began, ended) for step, began, ended in placed if step.action == action]
    taken = [step.seconds or 0.0 for step, _, _ in own]
    failed = sum(step.failed for step, _, _ in own)
    bars = _joined([Bar(began * scale, (ended - began) * scale, step.failed) for step, began, ended in own])
    return Lane(action, bars, len(own), sum(taken), max(taken), failed)


def _joined(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    """The bars, each wide enough to be seen, and those that would touch as one."""
    joined: list[Bar] = []
    for bar in bars:
        width = min(max(bar.width, _NARROWEST), WIDTH)
        at = min(bar.at, WIDTH - width)
        last = joined[-1] if joined else None
        small = last is not None and (width <= 2 * _NARROWEST or last.width <= 2 * _NARROWEST)
        if last and last.failed == bar.failed and small and at - (last.at + last.width) < _NARROWEST:
            joined[-1] = Bar(last.at, max(last.width, at + width - last.at), bar.failed)
        else:
            joined.append(Bar(at, width, bar.failed))
    return tuple(joined)
