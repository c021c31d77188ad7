"""Mark where a stage of a run begins."""

from __future__ import annotations

from typing import Any

from burr.core import State

from ..errors import ArgumentError
from .ordinary import OrdinaryAction


class BeginStage(OrdinaryAction):
    """Mark where a stage of a run begins; `in_this_stage` asks conditions about what came after it.

    Reads: `epoch`, `global_step`, `seconds`, `history`, `stage`. Writes: `stage`: its `name`, its `number`
    from 1 on, and where it began: `epoch`, `check`, `step` and `seconds`.

    Args:
        name: What the stage is called.

    Raises:
        ArgumentError: If ``name`` is no name.

    Example:
        >>> BeginStage("head")
        BeginStage('head')
    """

    READS = ("epoch", "global_step", "seconds", "history", "stage")
    WRITES = ("stage",)
    changes_training = False

    def __init__(self, name: str) -> None:
        super().__init__()
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"BeginStage({name!r}): give the stage a name.")
        self.stage = name

    @property
    def inputs(self) -> list[str]:
        return []

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Where the run stands."""
        before = state["stage"]
        return {
            "stage": {
                "name": self.stage,
                "number": 1 if before is None else before["number"] + 1,
                "epoch": state["epoch"] + 1,
                "check": state["history"].checks,
                "step": state["global_step"],
                "seconds": state["seconds"],
            }
        }

    def __repr__(self) -> str:
        return f"BeginStage({self.stage!r})"
