"""A hook that needs the trainer."""

from __future__ import annotations

import time
from typing import Any

from burr.core import Action
from burr.lifecycle.base import PostRunStepHook, PreRunStepHook
from lightning.pytorch import Trainer


class TrainerHook(PreRunStepHook, PostRunStepHook):
    """A hook that is given the trainer, and told of every step that ended with how long it took.

    A subclass defines `step_ended`.

    Example:
        >>> class Announces(TrainerHook):
        ...     def step_ended(self, trainer, action, seconds, result, state):
        ...         print(action, trainer.global_step)
    """

    _trainer: Trainer | None = None
    _began = 0.0

    def bind(self, trainer: Trainer) -> None:
        """Take the trainer; whoever opens the run calls it."""
        self._trainer = trainer

    def pre_run_step(self, *, action: Action, **future_kwargs: Any) -> None:
        """Note when the step began."""
        self._began = time.monotonic()

    def post_run_step(
        self, *, action: Action, state: Any, result: Any, exception: Any, **future_kwargs: Any
    ) -> None:
        """Tell of a step that did not fail."""
        if exception is None and self._trainer is not None:
            seconds = time.monotonic() - self._began
            self.step_ended(self._trainer, str(action.name), seconds, result or {}, state)

    def step_ended(
        self, trainer: Trainer, action: str, seconds: float, result: dict[str, Any], state: Any
    ) -> None:
        """A step has ended.

        Args:
            trainer: The trainer.
            action: Its action.
            seconds: How long it took.
            result: What the action gave; of a phase, its report.
            state: The state after it.
        """
        raise NotImplementedError
