"""One trial of a study, as its ledger has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .segments import OfMember, Segment

Status = Literal["waiting", "running", "finished", "pruned", "failed"]

OVER: tuple[Status, ...] = ("finished", "pruned", "failed")


@dataclass(frozen=True)
class TrialRecord(OfMember):
    """One trial of a study.

    Attributes:
        number: Which it is, 0-based, in the order in which they were suggested.
        params: The hyperparameters.
        run_id: The run that it trains.
        status: ``waiting`` for a worker, ``running``, or over: ``finished``, ``pruned`` or ``failed``.
        values: What it came to, one for each direction; ``None`` where there is no such thing yet. NaN only
            of one that was pruned, where it had diverged.
        attempts: How often it was begun.
        deaths: How often its process died.
        reason: Why it was pruned; of one that failed, the traceback or how its process died. A long one is
            cut, and says at its beginning where the whole of it is.
        attributes: What the sampler keeps of it.
        started: When it was begun last, in seconds since 1970.
        ended: When it was over.
        worker: Which of the workers, that are as many as trials run at once, had it last.
        place: Where that was: the process, or what an executor says of it.
        step: The epoch that its value is of, where that is known: of one that was pruned the last one, of one
            that has finished the best one.
        segment: What it trains of a member of a population, ``None`` where there is none.

    Example:
        >>> TrialRecord(0, {"lr": 0.1}, "study-0", status="finished", values=(0.4,)).value
        0.4
    """

    number: int
    params: Mapping[str, Any]
    run_id: str
    status: Status = "waiting"
    values: tuple[float, ...] | None = None
    attempts: int = 0
    deaths: int = 0
    reason: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    worker: str | None = None
    place: str | None = None
    step: int | None = None
    segment: Segment | None = None

    @property
    def last_score(self) -> dict[int, float]:
        """What one that was pruned came to last, by its epoch; empty for others, and where it is not known.

        Of one that has finished, the best epoch is known and not the last one.
        """
        if self.status != "pruned" or self.step is None or self.value is None:
            return {}
        return {self.step: self.value}

    @property
    def comparable(self) -> list[float] | None:
        """Its values, for Optuna and for axes, which have no place for NaN: ``None`` where there is one."""
        if self.values is None or any(map(math.isnan, self.values)):
            return None
        return list(self.values)

    @property
    def value(self) -> float | None:
        """What it came to, for a study with one direction."""
        return self.values[0] if self.values is not None else None
