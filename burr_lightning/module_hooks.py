"""Telling a module of the steps of its machine."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from burr.core import Action, State
from burr.lifecycle.base import LifecycleAdapter, PostRunStepHook, PreRunStepHook
from lightning.pytorch import LightningModule


@runtime_checkable
class ToldOfActions(Protocol):
    """A module that is told of every action of its machine."""

    def on_action_start(self, action: str, state: State[Any]) -> None:
        """An action begins."""

    def on_action_end(self, action: str, state: State[Any]) -> None:
        """An action has ended."""


@runtime_checkable
class BringsHooks(Protocol):
    """A module with Burr hooks of its own."""

    def burr_hooks_of_run(self, run_id: str) -> list[LifecycleAdapter]:
        """The hooks, for the run that it is about to train in."""


class ModuleHook(PreRunStepHook, PostRunStepHook):
    """Calls `on_action_start` and `on_action_end` of a module around every action of one run.

    Args:
        module: The module.
        run_id: The run: a module may train another one within its own.
    """

    def __init__(self, module: ToldOfActions, run_id: str) -> None:
        self._module, self._run_id = module, run_id

    def pre_run_step(self, *, app_id: str, action: Action, state: State[Any], **future_kwargs: Any) -> None:
        """Called by Burr before every step."""
        if app_id == self._run_id:
            self._module.on_action_start(str(action.name), state)

    def post_run_step(
        self,
        *,
        app_id: str,
        action: Action,
        state: State[Any],
        exception: Exception | None,
        **future_kwargs: Any,
    ) -> None:
        """Called by Burr after every step; a step that failed has not ended."""
        if app_id == self._run_id and exception is None:
            self._module.on_action_end(str(action.name), state)


def hooks_of(module: LightningModule, run_id: str) -> list[LifecycleAdapter]:
    """The hooks that a module brings to its run."""
    told: list[LifecycleAdapter] = [ModuleHook(module, run_id)] if isinstance(module, ToldOfActions) else []
    return told + (module.burr_hooks_of_run(run_id) if isinstance(module, BringsHooks) else [])
