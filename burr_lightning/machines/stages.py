"""A training in stages, each ended by a condition of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from burr.core import Condition
from burr.core.action import Action
from burr.core.graph import Graph, GraphBuilder

from ..actions import BeginStage, BestModel, ProcessData, TrainEpoch, Validate
from ..errors import MachineError
from ..graphs import CAN_STOP, FINISHED, VALIDATION_DUE
from .views import checked_condition, in_this_stage


@dataclass(frozen=True)
class Stage:
    """A stretch of training.

    Args:
        name: What it is called; its actions are named after it.
        until: What ends it, asked as if the run had begun with it; ``None`` leaves the last stage to
            Lightning's own limits.
        actions: What is done when it begins, in order, by a name of each.

    Example:
        >>> from burr_lightning.actions import Unfreeze
        >>> from burr_lightning.conditions import max_epochs
        >>> stage = Stage("backbone", until=max_epochs(5), actions={"thaw": Unfreeze("backbone.*", lr=1e-4)})
        >>> [action.name for action in staged_machine([stage]).actions]
        ['process_data', 'begin_backbone', 'thaw', 'train_backbone', 'validate_backbone', 'best_model']
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
    if not stages:
        raise MachineError("staged_machine([]): give one stage or more.")
    own = [f"{kind}_{stage.name}" for stage in stages for kind in ("begin", "train", "validate")]
    names = ["process_data", *own, *(name for stage in stages for name in stage.actions), "best_model"]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise MachineError(
            f"staged_machine(...): two actions are called {', '.join(twice)}. Each stage has begin_<name>, "
            f"train_<name> and validate_<name>, beside process_data and best_model: choose other names."
        )
    for stage in stages[:-1]:
        if stage.until is None:
            raise MachineError(
                f"staged_machine(...): the stage {stage.name!r} has until=None, so no stage after it would "
                f"begin. Give it a condition, as max_epochs(5)."
            )
    for stage in stages:
        if stage.until is not None:
            checked_condition(stage.until, f"Stage({stage.name!r}, until=...)")
