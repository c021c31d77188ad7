"""Name the best epoch, and why the run ended."""

from __future__ import annotations

from typing import Any

from burr.core import State
from burr.core.action import Action


class BestModel(Action):
    """Name the best epoch, its value and its checkpoint, and what ended the run.

    Without a monitored metric the last commit is named. Whoever drives the machine gives the reason
    for leaving the training as the input ``reason``. Reads: `best`, `checkpoint`, `stop_reason`.
    Writes: `best`, `stop_reason`.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def reads(self) -> list[str]:
        return ["best", "checkpoint", "stop_reason"]

    @property
    def writes(self) -> list[str]:
        return ["best", "stop_reason"]

    @property
    def inputs(self) -> list[str]:
        return ["reason"]

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """The best epoch and the reason."""
        best, checkpoint = state["best"], state["checkpoint"]
        if best is None and checkpoint is not None:
            best = {"epoch": checkpoint["epoch"], "value": None, "checkpoint": checkpoint["path"]}
        return {"best": best, "stop_reason": inputs["reason"] or state["stop_reason"]}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that names the best model."""
        return state.update(best=result["best"], stop_reason=result["stop_reason"])
