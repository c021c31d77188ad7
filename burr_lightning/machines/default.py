"""The machine that a user gets without asking."""

from __future__ import annotations

from burr.core import Condition
from burr.core.graph import Graph, GraphBuilder

from ..actions import BestModel, ProcessData, TrainEpoch, Validate
from ..graphs import CAN_STOP, FINISHED, VALIDATION_DUE


def default_machine(stop_when: Condition | None = None) -> Graph:
    """The machine that a user gets without asking.

    ``process_data → train_epoch → validate → train_epoch → … → best_model``

    Args:
        stop_when: When to leave the training for ``best_model``; ``None`` leaves that to Lightning's
            own limits. Lightning's ``min_epochs`` and ``min_steps`` are honoured.

    Returns:
        A Burr graph.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> machine = default_machine(plateau("val_loss", patience=5))
        >>> [action.name for action in machine.actions]
        ['process_data', 'train_epoch', 'validate', 'best_model']
    """
    stops = []
    if stop_when is not None:
        stop = CAN_STOP & stop_when
        stops = [(phase, "best_model", stop) for phase in ("train_epoch", "validate")]
    return (
        GraphBuilder()
        .with_actions(
            process_data=ProcessData(),
            train_epoch=TrainEpoch(),
            validate=Validate(),
            best_model=BestModel(),
        )
        .with_transitions(
            ("process_data", "best_model", FINISHED),
            ("process_data", "train_epoch"),
            ("train_epoch", "validate", VALIDATION_DUE),
            *stops,
            (["train_epoch", "validate"], "best_model", FINISHED),
            (["train_epoch", "validate"], "train_epoch"),
        )
        .build()
    )
