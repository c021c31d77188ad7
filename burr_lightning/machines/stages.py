"""A training in stages, each ended by a condition of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from burr.core import Condition, State
from burr.core.action import Action
from burr.core.graph import Graph, GraphBuilder

from ..actions import BeginStage, BestModel, ProcessData, TrainEpoch, Validate
from ..conditions import Explanation, StopCondition, explain, metrics_of
from ..conditions.base import AllOf, AnyOf
from ..conditions.truths import Truths
from ..errors import ArgumentError, MachineError
from ..graphs import CAN_STOP, FINISHED, VALIDATION_DUE
from ..recording import Recording


class _InThisStage(StopCondition):
    """A condition that is asked about nothing but the stage under way."""

    def __init__(self, condition: Condition) -> None:
        keys = dict.fromkeys([*condition.reads, "stage", "history", "epoch", "global_step", "seconds"])
        name = _in_this_stage(condition.name, is_combined=isinstance(condition, (AnyOf, AllOf)))
        super().__init__(name, keys, self._checked, metrics_of(condition), self._refuse_to_replay)
        self._condition = condition

    def _checked(self, state: State[Any]) -> tuple[bool | None, str]:
        found = self.explain(state)
        return found.truth, found.text

    def explain(self, state: State[Any]) -> Explanation:
        """What the condition says of this stage."""
        return _about_this_stage(explain(self._condition, _of_stage(state)))

    def _refuse_to_replay(self, recording: Recording) -> Truths:
        raise ArgumentError(
            f"{self.name}: a recorded history does not say where a stage began, so this cannot be replayed "
            f"on one. Give the condition without in_this_stage(...) to ask it of the whole run."
        )


def _about_this_stage(explanation: Explanation) -> Explanation:
    parts = tuple(_about_this_stage(part) for part in explanation.parts)
    name = _in_this_stage(explanation.name, is_combined=len(parts) > 1)
    return replace(explanation, name=name, parts=parts)


def _in_this_stage(name: str, *, is_combined: bool) -> str:
    return f"({name}) in this stage" if is_combined else f"{name} in this stage"


def in_this_stage(condition: Condition) -> StopCondition:
    """A condition, asked as if the run had begun with the stage under way.

    Patience counts from the beginning of the stage, `max_epochs` counts its epochs, `max_time` its
    seconds. A metric that was not logged in the stage yet makes the condition neither true nor false.

    Args:
        condition: Any Burr condition; `BeginStage` says where a stage begins.

    Returns:
        A Burr condition that reads ``stage`` beside what the condition reads. It cannot be replayed on a
        recorded history, which does not say where a stage began: trying raises `ArgumentError`.

    Example:
        >>> from burr_lightning.conditions import max_epochs
        >>> from burr_lightning import MetricHistory
        >>> stage = {"name": "head", "number": 1, "epoch": 4, "check": 0, "step": 0, "seconds": 0.0}
        >>> facts = {"epoch": 6, "global_step": 0, "seconds": 0.0, "stage": stage, "history": MetricHistory()}
        >>> in_this_stage(max_epochs(3)).run(State(facts))
        {'PROCEED': True}
    """
    return _InThisStage(condition)


def _of_stage(state: State[Any]) -> State[Any]:
    stage = state["stage"]
    if stage is None:
        return state
    seconds = state["seconds"]
    return state.update(
        history=state["history"].since(stage["check"]),
        epoch=state["epoch"] - stage["epoch"],
        global_step=state["global_step"] - stage["step"],
        seconds=None if seconds is None else seconds - stage["seconds"],
    )


@dataclass(frozen=True)
class Stage:
    """A stretch of training.

    Args:
        name: What it is called; its actions are named after it.
        until: What ends it, asked as if the run had begun with it; ``None`` leaves the last stage to
            Lightning's own limits.
        actions: What is done when it begins, in order, by a name of each.
    """

    name: str
    until: Condition | None
    actions: Mapping[str, Action] = field(default_factory=dict)


def staged_machine(stages: Sequence[Stage], best_model: BestModel | None = None) -> Graph:
    """A machine that trains in stages, one after another.

    ``process_data → begin_<a> → … → train_<a> → validate_<a> → … → begin_<b> → … → best_model``

    Args:
        stages: The stages, in order, one or more.
        best_model: The last action; ``None`` is `BestModel()`.

    Returns:
        A Burr graph.

    Raises:
        MachineError: If there is no stage, two have one name, or one that is not the last has no end.

    Example:
        >>> from burr_lightning.conditions import max_epochs
        >>> machine = staged_machine([Stage("warm", max_epochs(2)), Stage("long", None)])
        >>> [action.name for action in machine.actions][:4]
        ['process_data', 'begin_warm', 'train_warm', 'validate_warm']
    """
    _check(stages)
    actions: dict[str, Action] = {"process_data": ProcessData()}
    transitions: list[tuple[Any, ...]] = [("process_data", f"begin_{stages[0].name}")]
    for stage, following in zip(stages, [*stages[1:], None], strict=True):
        train, validate = f"train_{stage.name}", f"validate_{stage.name}"
        begin: dict[str, Action] = {f"begin_{stage.name}": BeginStage(stage.name), **stage.actions}
        actions |= {**begin, train: TrainEpoch(), validate: Validate()}
        names = [*begin, train]
        transitions += pairwise(names)
        transitions += [(train, validate, VALIDATION_DUE), ([train, validate], "best_model", FINISHED)]
        if stage.until is not None and following is not None:
            transitions.append(([train, validate], f"begin_{following.name}", in_this_stage(stage.until)))
        elif stage.until is not None:
            transitions.append(([train, validate], "best_model", CAN_STOP & in_this_stage(stage.until)))
        transitions.append(([train, validate], train))
    actions["best_model"] = best_model if best_model is not None else BestModel()
    return GraphBuilder().with_actions(**actions).with_transitions(*transitions).build()


def _check(stages: Sequence[Stage]) -> None:
    names = [stage.name for stage in stages]
    endless = [stage.name for stage in stages[:-1] if stage.until is None]
    taken = [name for stage in stages for name in stage.actions]
    if not stages:
        raise MachineError("staged_machine([]): give one stage or more.")
    if len(set(names)) < len(names) or len(set(taken)) < len(taken):
        raise MachineError(
            f"staged_machine(...): two stages or actions share a name: {', '.join([*names, *taken])}."
        )
    if endless:
        raise MachineError(
            f"staged_machine(...): the stage {endless[0]!r} has until=None, so no stage after it would "
            f"begin. Give it a condition, as max_epochs(5)."
        )
