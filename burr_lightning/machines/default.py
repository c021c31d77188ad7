"""The machine that a user gets without asking."""

from __future__ import annotations

from typing import Any

from burr.core import Action, Condition
from burr.core.graph import Graph, GraphBuilder

from ..actions import BestModel, ProcessData, Review, SetLearningRate, TrainEpoch, Validate
from ..graphs import CAN_PAUSE, CAN_STOP, FINISHED, VALIDATION_DUE
from .answers import answered, since_review

_PHASES = ["train_epoch", "validate"]


def default_machine(stop_when: Condition | None = None, review_when: Condition | None = None) -> Graph:
    """The machine that a user gets without asking.

    ``process_data → train_epoch → validate → train_epoch → … → best_model``

    Args:
        stop_when: When to leave the training for ``best_model``; ``None`` leaves that to Lightning's
            own limits. Lightning's ``min_epochs`` and ``min_steps`` are honoured.
        review_when: When to ask a human, where the training could pause and stop: ``review`` takes
            ``go`` or ``no-go``, and a new learning rate. The condition is asked about what was logged
            since the last answer. ``None`` never asks.

    Returns:
        A Burr graph.

    Example:
        >>> from burr_lightning.conditions import max_epochs, plateau
        >>> machine = default_machine(plateau("val_loss", patience=5))
        >>> [action.name for action in machine.actions]
        ['process_data', 'train_epoch', 'validate', 'best_model']
        >>> machine = default_machine(review_when=max_epochs(10))
        >>> [action.name for action in machine.actions][4:]
        ['review', 'set_learning_rate']
    """
    stops = [] if stop_when is None else [(_PHASES, "best_model", CAN_STOP & stop_when)]
    actions, asks, answers = ({}, [], []) if review_when is None else _review(review_when)
    return (
        GraphBuilder()
        .with_actions(
            process_data=ProcessData(),
            train_epoch=TrainEpoch(),
            validate=Validate(),
            best_model=BestModel(),
            **actions,
        )
        .with_transitions(
            ("process_data", "best_model", FINISHED),
            ("process_data", "train_epoch"),
            ("train_epoch", "validate", VALIDATION_DUE),
            *stops,
            (_PHASES, "best_model", FINISHED),
            *asks,
            (_PHASES, "train_epoch"),
            *answers,
        )
        .build()
    )


def _review(
    review_when: Condition,
) -> tuple[dict[str, Action], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The actions that a review adds, what leads to it, and what it leads to."""
    actions: dict[str, Action] = {
        "review": Review("Go on with the training?", fields={"lr": float}, at_least={"lr": 0.0}),
        "set_learning_rate": SetLearningRate(key="lr"),
    }
    asks = [(_PHASES, "review", CAN_PAUSE & CAN_STOP & since_review(review_when))]
    answers = [
        ("review", "best_model", answered("no-go")),
        ("review", "train_epoch", Condition.when(lr=None)),
        ("review", "set_learning_rate"),
        ("set_learning_rate", "train_epoch"),
    ]
    return actions, asks, answers
