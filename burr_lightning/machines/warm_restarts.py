"""Warm restarts: the learning rate begins anew where a cycle has done its work."""

from __future__ import annotations

from typing import Any

from burr.core import Condition, State
from burr.core.graph import Graph, GraphBuilder

from ..actions import BeginStage, BestModel, ProcessData, RestartSchedule, TrainEpoch, Validate
from ..conditions import StopCondition
from ..graphs import CAN_STOP, FINISHED, VALIDATION_DUE
from .counts import checked_count
from .views import checked_condition, in_this_stage


def warm_restarts(
    until: Condition,
    *,
    restarts: int = 3,
    lr_factor: float = 1.0,
    best_model: BestModel | None = None,
) -> Graph:
    """A machine that trains in cycles, each with the learning rate schedule from its beginning.

    Unlike a schedule that restarts after a number of steps fixed beforehand, a cycle ends when a
    condition says so. Source of the idea: Loshchilov and Hutter, SGDR (arXiv 1608.03983).

    Args:
        until: What ends a cycle, asked as if the run had begun with it: ``max_epochs(10)``,
            ``plateau("val_loss", 3)``.
        restarts: How many cycles there are after the first one, 1 or more.
        lr_factor: What the rates that a cycle begins with are multiplied with from cycle to cycle,
            more than 0.
        best_model: The last action; ``None`` is `BestModel()`.

    Returns:
        A Burr graph.

    Raises:
        ArgumentError: If a number is out of range.
        MachineError: If ``until`` is no condition.

    Example:
        >>> from burr_lightning.conditions import max_epochs
        >>> [action.name for action in warm_restarts(max_epochs(10)).actions]
        ['process_data', 'begin_cycle', 'train_epoch', 'validate', 'restart', 'best_model']
    """
    checked_condition(until, "warm_restarts")
    checked_count("warm_restarts", "restarts", restarts)
    phases = ["train_epoch", "validate"]
    over = in_this_stage(until)
    return (
        GraphBuilder()
        .with_actions(
            process_data=ProcessData(),
            begin_cycle=BeginStage("cycle"),
            train_epoch=TrainEpoch(),
            validate=Validate(),
            restart=RestartSchedule(lr_factor=lr_factor),
            best_model=best_model if best_model is not None else BestModel(),
        )
        .with_transitions(
            ("process_data", "begin_cycle"),
            ("begin_cycle", "train_epoch"),
            ("train_epoch", "validate", VALIDATION_DUE),
            (phases, "best_model", FINISHED),
            (phases, "restart", over & _cycle_up_to(restarts)),
            (phases, "best_model", CAN_STOP & over),
            ("restart", "begin_cycle"),
            (phases, "train_epoch"),
        )
        .build()
    )


def _cycle_up_to(restarts: int) -> StopCondition:
    def check(state: State[Any]) -> tuple[bool | None, str]:
        number = state["stage"]["number"] if state["stage"] is not None else 0
        return number <= restarts, f"cycle {number} of {restarts + 1}"

    return StopCondition(f"cycle <= {restarts}", ["stage"], check)
