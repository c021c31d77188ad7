"""Set the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from burr.core import State

from ..errors import ArgumentError
from .ordinary import OrdinaryAction, Training


class SetLearningRate(OrdinaryAction):
    """Set or scale the learning rate, and what a scheduler computes it from.

    A scheduler that is under way goes on with the new rate as its base: at half its way, a cosine
    schedule that is scaled by 0.1 has a tenth of the rate, and so it has in each step to come. A floor that
    a scheduler has of its own, as ``eta_min`` or ``min_lr``, stays where it is.

    Reads: what ``key`` names. Writes: `learning_rates`, one per parameter group.

    Args:
        lr: The rate from here on, 0 or more; schedulers are scaled in proportion.
        factor: In place of ``lr``: what the rate is multiplied with, more than 0.
        key: In place of ``lr``: the key of the state that holds the rate, as an answer to a `Review` does;
            where that is ``None`` the rates stay as they are.
        groups: The parameter groups by number, counted over all optimizers, 0-based; ``None`` is all.

    Raises:
        ArgumentError: If not exactly one of ``lr``, ``factor`` and ``key`` is given, or one is out of range.

    Example:
        >>> SetLearningRate(factor=0.1)
        SetLearningRate(factor=0.1)
    """

    WRITES = ("learning_rates",)

    def __init__(
        self,
        lr: float | None = None,
        *,
        factor: float | None = None,
        key: str | None = None,
        groups: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        call = f"SetLearningRate(lr={lr!r}, factor={factor!r}, key={key!r})"
        if [lr, factor, key].count(None) != 2:
            raise ArgumentError(f"{call}: give one of lr, factor and key.")
        if lr is not None and not lr >= 0:
            raise ArgumentError(f"{call}: lr must be 0 or more.")
        if factor is not None and not factor > 0:
            raise ArgumentError(f"{call}: factor must be more than 0.")
        self.lr, self.factor, self.key, self.groups = lr, factor, key, groups

    @property
    def reads(self) -> list[str]:
        return [self.key] if self.key is not None else []

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Set it, and tell the rates."""
        training: Training = inputs["training"]
        lr = state[self.key] if self.key is not None else self.lr
        if lr is None:
            factor = self.factor if self.factor is not None else 1.0
            return {"learning_rates": training.scale_learning_rates(factor, self.groups)}
        if not lr >= 0:
            raise ArgumentError(f"{self!r}: the state has {self.key}={lr!r}, and a rate must be 0 or more.")
        return {"learning_rates": training.set_learning_rates(lr, self.groups)}

    def __repr__(self) -> str:
        all_given = {"lr": self.lr, "factor": self.factor, "key": self.key}
        given = ", ".join(f"{name}={value!r}" for name, value in all_given.items() if value is not None)
        groups = f", groups={list(self.groups)!r}" if self.groups is not None else ""
        return f"SetLearningRate({given}{groups})"
