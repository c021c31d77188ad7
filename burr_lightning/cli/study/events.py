"""What happened last in a study: trials that were begun, have ended, or were lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .words import reason_text, value_text

if TYPE_CHECKING:
    from ...tuning import Ledger, TrialRecord

_STYLES = {"best": "green", "failed": "bold red", "lost": "yellow"}


@dataclass(frozen=True)
class StudyEvent:
    """Something that happened."""

    at: datetime | None
    """Local time, ``None`` where nobody noted it."""
    kind: str
    """``begun``, ``finished``, ``best`` (finished, and the best so far), ``pruned``, ``failed``, ``lost``."""
    text: str

    @property
    def style(self) -> str:
        """How it is shown."""
        return _STYLES.get(self.kind, "")


def newest_events(ledger: Ledger, most: int) -> list[StudyEvent]:
    """What happened last, in order.

    Args:
        ledger: What is known of the study.
        most: How many to give at most.
    """
    if most < 1:
        return []
    best = _bests(ledger)
    found = []
    told: dict[int, int] = {}
    for event in ledger.chunk(0)["events"]:
        if event["what"] == "launched":
            told[event["trial"]] = told.get(event["trial"], 0) + 1
        if event["what"] != "suggested":
            found.append((event, told.get(event["trial"], 0)))
    return [_event(event, attempt, ledger[event["trial"]], best) for event, attempt in found[-most:]]


def _bests(ledger: Ledger) -> set[int]:
    """The trials that were the best when they finished."""
    if len(ledger.directions) != 1:
        return set()
    sign = 1 if ledger.directions[0] == "min" else -1
    found, best = set(), float("inf")
    for event in ledger.chunk(0)["events"]:
        if event["what"] == "ended" and event["status"] == "finished" and event.get("values"):
            cost = sign * float(event["values"][0])
            if cost < best:
                best = cost
                found.add(event["trial"])
    return found


def _event(event: Mapping[str, Any], attempt: int, trial: TrialRecord, best: set[int]) -> StudyEvent:
    at = datetime.fromtimestamp(event["at"]) if event.get("at") is not None else None
    return StudyEvent(at, *_said(event, attempt, trial, best))


def _said(event: Mapping[str, Any], attempt: int, trial: TrialRecord, best: set[int]) -> Iterator[str]:
    """The kind and the text."""
    number = trial.number
    if event["what"] == "launched":
        who = f" by {event['worker']}" if event.get("worker") else ""
        again = f", attempt {attempt}" if attempt > 1 else ""
        yield from ("begun", f"trial {number} was begun{who}{again}")
    elif event["what"] == "set_back":
        yield from ("lost", f"trial {number} waits again: {' '.join(str(event['reason']).split())}")
    elif event["status"] == "finished":
        is_best = number in best
        kind = "best" if is_best else "finished"
        yield from (kind, f"trial {number}{', the best so far' if is_best else ''}: {value_text(trial)}")
    else:
        status, why = str(event["status"]), reason_text(trial)
        yield from (status, f"trial {number} {why if why.startswith(status) else f'{status}: {why}'}")
