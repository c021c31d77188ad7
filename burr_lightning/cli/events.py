"""What happened last in a run: ends of epochs, actions, questions and answers, failures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ..amounts import number
from .output import pairs

if TYPE_CHECKING:
    from ..reviews import Asked
    from ..step_log import LoggedStep

_MOST_VALUES = 3
"""Values that an event names."""
_STYLES = {"failed": "bold red", "best": "green", "asked": "magenta", "rollback": "yellow"}


@dataclass(frozen=True)
class Event:
    """Something that happened."""

    at: datetime
    """Local time."""
    kind: str
    """``epoch``, ``best`` (an epoch that is the best so far), ``action``, ``rollback``, ``asked``,
    ``answered``, ``failed``."""
    text: str

    @property
    def style(self) -> str:
        """How it is shown."""
        return _STYLES.get(self.kind, "")


def events_of(steps: Sequence[LoggedStep], reviews: Sequence[Asked], monitor: str | None) -> list[Event]:
    """What happened, in order.

    Args:
        steps: The newest steps of the machine.
        reviews: What was asked and answered.
        monitor: The monitored metric, named first.
    """
    found = [event for logged in steps if (event := _of_step(logged, monitor)) is not None]
    found += [event for asked in reviews for event in _of_review(asked)]
    return sorted(found, key=lambda event: event.at)


def newest(events: Sequence[Event], most: int) -> list[Event]:
    """The newest events, in order; ends of epochs leave half of the room to what is rarer.

    Args:
        events: What happened, in order.
        most: How many to give at most.
    """
    rare = [event for event in events if event.kind not in ("epoch", "best")]
    epochs = [event for event in events if event.kind in ("epoch", "best")]
    kept = rare[-max(most - len(epochs), most // 2) :] if most > 1 else []
    kept += epochs[-(most - len(kept)) :] if most > len(kept) else []
    return sorted(kept, key=lambda event: event.at)


def _of_step(logged: LoggedStep, monitor: str | None) -> Event | None:
    step = logged.step
    if step.ended is None:
        return None
    if step.failed:
        return Event(step.ended, "failed", f"{step.action} failed")
    if step.epoch is not None:
        return _of_phase(logged, step.ended, monitor) if logged.result.get("ends_epoch") else None
    rolled_back = logged.result.get("rollback")
    if isinstance(rolled_back, Mapping) and "to" in rolled_back:
        rates = _rates(rolled_back.get("lr"))
        return Event(step.ended, "rollback", f"{step.action}: back to epoch {rolled_back['to']}{rates}")
    said = dict(list(_scalars(logged.result))[:_MOST_VALUES])
    return Event(step.ended, "action", f"{step.action}: {pairs(said)}" if said else step.action)


def _of_phase(logged: LoggedStep, ended: datetime, monitor: str | None) -> Event:
    metrics = logged.state.get("metrics") or logged.result.get("metrics") or {}
    names = sorted(metrics, key=lambda name: name != monitor)[:_MOST_VALUES]
    said = pairs({name: _short(metrics[name]) for name in names})
    best = logged.state.get("best")
    is_best = isinstance(best, Mapping) and best.get("epoch") == logged.step.epoch
    text = f"epoch {logged.step.epoch}{', the best so far' if is_best else ''}: {said}"
    return Event(ended, "best" if is_best else "epoch", text)


def _of_review(asked: Asked) -> Iterator[Event]:
    question, answer = asked.question, asked.answer
    yield Event(datetime.fromtimestamp(question.asked), "asked", f"{question.action} asks: {question.text}")
    if answer is not None:
        when = datetime.fromtimestamp(answer.answered)
        yield Event(when, "answered", f"{answer.by} answers: {pairs(answer.values)}")


def _rates(rates: Any) -> str:
    distinct = sorted({rate for rate in rates if isinstance(rate, float)}) if isinstance(rates, list) else []
    return f", learning rate {', '.join(map(number, distinct))}" if distinct else ""


def _scalars(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """The numbers and texts in what an action gave, by their path."""
    for name, item in value.items():
        path = f"{before}{name}"
        if isinstance(item, Mapping):
            yield from _scalars(item, f"{path}.")
        elif isinstance(item, (str, int, float)):
            yield path, _short(item)


def _short(value: Any) -> str:
    is_number = isinstance(value, float) and math.isfinite(value)
    return number(value) if is_number else " ".join(str(value).split())[:60]
