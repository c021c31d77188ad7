"""How a trial went, as its worker tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

INTERRUPTED = "the study was interrupted"
"""Why a trial that has not ended by itself waits to be gone on with."""


@dataclass(frozen=True)
class Outcome:
    """How a trial went.

    Attributes:
        trial: Which one.
        status: ``died`` where its process did: it is begun again.
        at: When it was done, in seconds since 1970.
        values: What it came to, one for each direction.
        step: The epoch of that, where it is known: the last one of a trial that was pruned, else the best.
        reason: Why it was pruned, its traceback, or how its process died.
        place: Where it ran.
        waited: Whether it was not begun, because another process has it still; that is no death.
        logged: What its run logged, where it has no value because that has trained without the study's
            monitor; ``None`` otherwise.
    """

    trial: int
    status: Literal["finished", "pruned", "failed", "died"]
    at: float
    values: list[float] | None = None
    step: int | None = None
    reason: str | None = None
    place: str | None = None
    waited: bool = False
    logged: list[str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it: infinite values and NaN as texts, of which Burr keeps nothing."""
        values: list[Any] | None = self.values
        if values is not None:
            values = [each if math.isfinite(each) else repr(each) for each in values]
        return {**asdict(self), "values": values}

    @staticmethod
    def of_dict(told: Mapping[str, Any]) -> Outcome:
        """The outcome that `as_dict` has given."""
        values = None if told["values"] is None else [float(each) for each in told["values"]]
        return Outcome(**{**told, "values": values})
