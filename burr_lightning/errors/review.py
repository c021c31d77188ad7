"""Errors of answering what a run asks."""

from __future__ import annotations

from .base import BurrLightningError


class AnswerError(BurrLightningError, ValueError):
    """An answer that does not fit what was asked.

    Attributes:
        question: What was asked.
    """

    def __init__(self, run_id: str, question: str, why: str, fits: str) -> None:
        self.question = question
        super().__init__(f"Run {run_id!r} asks {question!r}: {why}. It takes {fits}.")


class NotAskedError(BurrLightningError, RuntimeError):
    """An answer was given to a run that does not wait for it.

    Attributes:
        run_id: The run.
        status: How it stands.
    """

    def __init__(self, run_id: str, status: str, answered: str | None, instead: str = "") -> None:
        self.run_id, self.status = run_id, status
        waits = "waits for no answer" + (f": {answered}, and an answer is used once" if answered else "")
        waits = f"asks something else now: {instead!r}" if instead else waits
        super().__init__(f"Run {run_id!r} is {status} and {waits}.")
