"""A hook that needs the trainer."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from burr.core import Action
from burr.lifecycle.base import PostRunStepHook, PreRunStepHook
from lightning.pytorch import Trainer


@dataclass
class _Bound:
    """A run that the hook is told of."""

    trainer: Trainer
    began: float = 0.0
    """When the step that is under way began; seconds, monotonic."""


class TrainerHook(PreRunStepHook, PostRunStepHook):
    """A hook that is given the trainer, and told of every step that ended with how long it took.

    A subclass defines `step_ended`. One hook may be given to several runs, also to one that trains
    within another: each is told of with its own trainer.

    Example:
        >>> class Announces(TrainerHook):
        ...     def step_ended(self, trainer, action, seconds, result, state):
        ...         print(action, trainer.global_step)
    """

    _runs: Mapping[tuple[str | None, str], _Bound] = {}
    """By project and run id. It is replaced, never changed: a subclass need not call ``__init__``."""

    def bind(self, trainer: Trainer, project: str, run_id: str) -> None:
        """Take the trainer of a run; whoever opens the run calls it."""
        self._runs = {**self._runs, (project, run_id): _Bound(trainer)}

    def unbind(self, project: str, run_id: str) -> None:
        """Let the trainer of a run go; whoever closes the run calls it."""
        self._runs = {run: bound for run, bound in self._runs.items() if run != (project, run_id)}

    def pre_run_step(self, *, app_id: str, partition_key: str | None, **future_kwargs: Any) -> None:
        """Note when the step began."""
        if (bound := self._runs.get((partition_key, app_id))) is not None:
            bound.began = time.monotonic()

    def post_run_step(
        self,
        *,
        app_id: str,
        partition_key: str | None,
        action: Action,
        state: Any,
        result: Any,
        exception: Any,
        **future_kwargs: Any,
    ) -> None:
        """Tell of a step that did not fail."""
        bound = self._runs.get((partition_key, app_id))
        if exception is None and bound is not None:
            seconds = time.monotonic() - bound.began
            self.step_ended(bound.trainer, str(action.name), seconds, result or {}, state)

    @abstractmethod
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
