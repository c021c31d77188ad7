"""Evaluate on the test data, in the middle of a run."""

from __future__ import annotations

from typing import Any, Literal

from burr.core import State

from ..errors import ArgumentError
from .ordinary import OrdinaryAction, Training


class Evaluate(OrdinaryAction):
    """Run Lightning's test loop, on the weights of now or on the best ones.

    The training goes on as if it had not been: the random numbers, the weights and the logged metrics
    are put back. What the module logs goes to the trainer's loggers, and not into the metric history.
    The datamodule's ``setup("test")`` is called; the module's and the callbacks' is not.

    Reads: `epoch`, `best`, `monitor`. Writes: `evaluated`: `epoch`, `weights` and `metrics`.

    Args:
        weights: ``"current"``, or ``"best"``: those of the best epoch's checkpoint.

    Raises:
        ArgumentError: If ``weights`` is neither.

    Example:
        >>> Evaluate("best")
        Evaluate('best')
    """

    READS = ("epoch", "best", "monitor")
    WRITES = ("evaluated",)
    changes_training = False

    def __init__(self, weights: Literal["current", "best"] = "current") -> None:
        super().__init__()
        if weights not in ("current", "best"):
            raise ArgumentError(f"Evaluate({weights!r}): it must be 'current' or 'best'.")
        self.weights = weights

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Evaluate, and tell what was logged."""
        training: Training = inputs["training"]
        metrics = training.evaluate(self.weights, state)
        return {"evaluated": {"epoch": state["epoch"], "weights": self.weights, "metrics": metrics}}

    def __repr__(self) -> str:
        return f"Evaluate({self.weights!r})"
