"""How often trials were begun, by whom, when, and how that ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from .ledger import Ledger
from .outcomes import INTERRUPTED


@dataclass(frozen=True)
class Attempt:
    """One time that a trial was begun.

    Attributes:
        trial: Which one.
        worker: Who had it, ``None`` where that is not known.
        began: When, in seconds since 1970.
        ended: When it was over; ``None`` while it runs.
        status: How it ended, ``running``, or ``lost`` where the trial was set back.
    """

    trial: int
    worker: str | None
    began: float
    ended: float | None = None
    status: Literal["running", "finished", "pruned", "failed", "lost"] = "running"


def attempts_of(ledger: Ledger) -> list[Attempt]:
    """Every time that a trial was begun, in order.

    When an attempt was lost is not always written down. What is told of the study next is then taken for it;
    where the study itself was interrupted, what was told last before.

    Args:
        ledger: The ledger.

    Example:
        >>> ledger = Ledger().suggested({}, "search-0").launched(0, at=1.0, worker="worker 0")
        >>> ledger = ledger.set_back(0, "it died", died=True).launched(0, at=3.0)
        >>> ledger = ledger.ended(0, "finished", at=5.0)
        >>> [(attempt.began, attempt.ended, attempt.status) for attempt in attempts_of(ledger)]
        [(1.0, 3.0, 'lost'), (3.0, 5.0, 'finished')]
    """
    found: list[Attempt] = []
    running: dict[int, int] = {}
    undated: list[int] = []
    newest = 0.0
    for event in ledger.chunk(0)["events"]:
        at = event.get("at")
        if at is not None:
            for number in undated:
                found[number] = replace(found[number], ended=max(at, found[number].began))
            undated, newest = [], at
        own = running.pop(event["trial"], None)
        if event["what"] == "launched":
            running[event["trial"]] = len(found)
            found.append(Attempt(event["trial"], event.get("worker"), event["at"]))
        elif own is not None:
            found[own] = _over(found[own], event, newest)
            undated += [own] if found[own].ended is None else []
    for number in undated:
        found[number] = replace(found[number], ended=max(newest, found[number].began))
    return found


def _over(attempt: Attempt, event: Mapping[str, Any], newest: float) -> Attempt:
    if event["what"] == "ended":
        return replace(attempt, ended=event["at"], status=event["status"])
    at = event.get("at", newest if event["reason"] == INTERRUPTED else None)
    return replace(attempt, ended=None if at is None else max(at, attempt.began), status="lost")
