"""A run that recovers by itself when it diverges."""

from __future__ import annotations

from typing import Any

from burr.core import Condition, State
from burr.core.graph import Graph, GraphBuilder

from ..actions import BestModel, Kept, ProcessData, Rollback, TrainEpoch, Validate
from ..conditions import StopCondition
from ..graphs import CAN_STOP, FINISHED, VALIDATION_DUE
from .counts import checked_count
from .views import checked_condition, since_rollback


def rollback_on_divergence(
    diverged_when: Condition,
    stop_when: Condition | None = None,
    *,
    to: Kept = "best",
    lr_factor: float | None = 0.5,
    most: int = 5,
    best_model: BestModel | None = None,
) -> Graph:
    """The default machine, which goes back to an earlier commit when the run diverges.

    Args:
        diverged_when: What tells a divergence, as ``not_finite("train_loss") | spike("train_loss")``. It is
            asked about what was logged since the newest rollback.
        stop_when: When to stop, as in `default_machine`.
        to: To which commit it goes back; see `Rollback`. ``"best"`` needs a monitored metric; it may be the
            epoch that has just ended, where that metric says so. An epoch's number needs a
            ``Checkpoints(keep_last=...)`` that keeps it.
        lr_factor: What the learning rates are multiplied with; see `Rollback`.
        most: How often it goes back, 1 or more; diverging once more ends the run, and so does diverging
            before there is a commit to go back to.
        best_model: The last action; ``None`` is `BestModel()`.

    Returns:
        A Burr graph.

    Raises:
        ArgumentError: If ``most`` is out of range, or as in `Rollback`.
        MachineError: If ``diverged_when`` is no condition.

    Example:
        >>> from burr_lightning.conditions import not_finite
        >>> machine = rollback_on_divergence(not_finite("train_loss"), lr_factor=0.1)
        >>> [action.name for action in machine.actions]
        ['process_data', 'train_epoch', 'validate', 'rollback', 'best_model']
    """
    checked_condition(diverged_when, "rollback_on_divergence")
    checked_count("rollback_on_divergence", "most", most)
    diverged = since_rollback(diverged_when)
    phases = ["train_epoch", "validate"]
    stops = [] if stop_when is None else [(phases, "best_model", CAN_STOP & stop_when)]
    return (
        GraphBuilder()
        .with_actions(
            process_data=ProcessData(),
            train_epoch=TrainEpoch(),
            validate=Validate(),
            rollback=Rollback(to, lr_factor=lr_factor),
            best_model=best_model if best_model is not None else BestModel(),
        )
        .with_transitions(
            ("process_data", "best_model", FINISHED),
            ("process_data", "train_epoch"),
            ("train_epoch", "validate", VALIDATION_DUE),
            (phases, "rollback", diverged & _fewer_than(most) & _can_go_back(to)),
            (phases, "best_model", CAN_STOP & diverged),
            ("rollback", "best_model", FINISHED),
            ("rollback", "train_epoch"),
            *stops,
            (phases, "best_model", FINISHED),
            (phases, "train_epoch"),
        )
        .build()
    )


def _can_go_back(to: Kept) -> StopCondition:
    def check(state: State[Any]) -> tuple[bool | None, str]:
        if to == "best":
            return state["best"] is not None or state["monitor"] is None, "which epoch was the best"
        first = to if isinstance(to, int) else 0
        return state["epoch"] > first, f"epoch {state['epoch']} has ended"

    return StopCondition(f"can go back to {to}", ["best", "monitor", "epoch"], check)


def _fewer_than(most: int) -> StopCondition:
    def check(state: State[Any]) -> tuple[bool | None, str]:
        count = state["rollback"]["count"] if state["rollback"] is not None else 0
        return count < most, f"{count} of {most} rollbacks"

    return StopCondition(f"rollbacks < {most}", ["rollback"], check)
