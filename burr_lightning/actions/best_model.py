"""Name the best epoch, and why the run ended."""

from __future__ import annotations

import os
from typing import Any

from burr.core import State
from burr.core.action import Action


class BestModel(Action):
    """Name the best epoch, its value and its checkpoint, and what ended the run.

    Without a monitored metric the last commit is named. Whoever drives the machine gives the reason
    for leaving the training as the input ``reason``, and loads and exports the weights when Lightning has
    ended the training: also when a finished run is opened again.

    Reads: `best`, `checkpoint`, `stop_reason`. Writes: `best`, `stop_reason`.

    Args:
        load_weights: Whether the module has the weights of the best epoch after ``fit``, in place of
            the last ones.
        export: A file that the weights of the best epoch are written to, a ``state_dict`` for
            ``torch.load``, relative to the run's folder; ``None`` for none.

    Example:
        >>> BestModel(load_weights=True).reads
        ['best', 'checkpoint', 'stop_reason']
    """

    def __init__(self, *, load_weights: bool = False, export: str | os.PathLike[str] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.load_weights = load_weights
        self.export = os.fspath(export) if export is not None else None

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
