"""What the steps of a study are made of."""

from __future__ import annotations

from typing import Any, Protocol

from burr.core.action import Action

from .ledger import Ledger


class Suggests(Protocol):
    """Says what to try next."""

    def suggest(self, ledger: Ledger) -> Any:
        """The next trial, as a `Suggestion`."""

    def ended(self, ledger: Ledger, trial: Any) -> Any:
        """A trial is over: what to keep of it."""

    @property
    def stopped(self) -> str | None:
        """Why it has stopped the study, ``None`` where it has not."""


class StudyAction(Action):
    """One step of a study."""

    READS: tuple[str, ...] = ("ledger",)
    WRITES: tuple[str, ...] = ("ledger", "trial", "best")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def reads(self) -> list[str]:
        """What it reads of the state."""
        return list(self.READS)

    @property
    def writes(self) -> list[str]:
        """What it writes of the state."""
        return list(self.WRITES)
