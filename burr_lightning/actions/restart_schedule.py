"""Begin the learning rate schedule anew."""

from __future__ import annotations

from typing import Any

from burr.core import State

from ..errors import ArgumentError
from .ordinary import OrdinaryAction, Training


class RestartSchedule(OrdinaryAction):
    """Put learning rates, momenta and schedulers back to where the run began; all else stays.

    Reads: `restarts`. Writes: `restarts`, how many there were; `learning_rates`, one per
    parameter group.

    Args:
        lr_factor: What the rates are multiplied with at each restart, more than 0: at the third one, its
            third power.

    Raises:
        ArgumentError: If ``lr_factor`` is out of range.

    Example:
        >>> RestartSchedule(lr_factor=0.5)
        RestartSchedule(lr_factor=0.5)
    """

    READS = ("restarts",)
    WRITES = ("learning_rates", "restarts")

    def __init__(self, *, lr_factor: float = 1.0) -> None:
        super().__init__()
        if not lr_factor > 0:
            raise ArgumentError(f"RestartSchedule(lr_factor={lr_factor!r}): it must be more than 0.")
        self.lr_factor = lr_factor

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Restart, and tell the rates."""
        training: Training = inputs["training"]
        training.restart_schedules()
        restarts = (state["restarts"] or 0) + 1
        rates = training.scale_learning_rates(self.lr_factor**restarts)
        return {"learning_rates": rates, "restarts": restarts}

    def __repr__(self) -> str:
        return f"RestartSchedule(lr_factor={self.lr_factor!r})"
