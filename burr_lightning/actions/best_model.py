"""Name the best epoch, and why the run ended."""

from __future__ import annotations

import os
from typing import Any

from burr.core import State
from burr.core.action import Action


class BestModel(Action):
    """Name the best epoch, its value and its checkpoint, and what ended the run.

    Without a monitored metric the last commit is named. Whoever drives the machine loads and exports the
    weights when Lightning has ended the training: also when a finished run is opened again. For that it has
    to be the last action.

    Reads: `best`, `checkpoint`, `stop_reason`. Writes: `best`.

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
        return ["best"]

    @property
    def inputs(self) -> list[str]:
        return []

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """The best epoch, and why the run ended there."""
        best, checkpoint = state["best"], state["checkpoint"]
        if best is None and checkpoint is not None:
            best = {"epoch": checkpoint["epoch"], "value": None, "checkpoint": checkpoint["path"]}
        return {"best": best, "stop_reason": state["stop_reason"]}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that names the best model."""
        return state.update(best=result["best"])
