"""Conditions on what a human has answered."""

from __future__ import annotations

from typing import Any

from burr.core import Condition, State

from ..conditions import StopCondition
from .views import AskedOf, checked_condition


def answered(verdict: str) -> StopCondition:
    """Whether the last verdict is this one; unlike ``when(verdict=...)``, it says who gave it.

    Args:
        verdict: One of the options of a `Review`.

    Returns:
        A Burr condition that reads ``verdict`` and ``review``.

    Example:
        >>> review = {"by": "ada", "comment": "It only learns the noise."}
        >>> print(answered("no-go").explain(State({"verdict": "no-go", "review": review})).text)
        ada: It only learns the noise.
    """

    def check(state: State[Any]) -> tuple[bool | None, str]:
        review = state["review"] or {}
        comment = review.get("comment")
        by = review.get("by") or "nobody yet"
        return state["verdict"] == verdict, f"{by}: {comment}" if comment else f"by {by}"

    return StopCondition(f"answered {verdict}", ["verdict", "review"], check)


def since_review(condition: Condition) -> StopCondition:
    """A condition, asked as if the run had begun with the last answer of a human.

    Patience counts from there, `max_epochs` counts the epochs and `max_time` the seconds since.

    Args:
        condition: Any Burr condition.

    Returns:
        A Burr condition that reads ``review`` beside what the condition reads. It cannot be replayed on a
        recorded history, which does not say when a human answered.

    Raises:
        MachineError: If it is no condition.

    Example:
        >>> from burr_lightning.conditions import max_epochs
        >>> from burr_lightning.state import initial_state
        >>> review = {"answered": 1.0, "epoch": 3, "check": 0, "step": 0, "seconds": 0.0}
        >>> state = State({**initial_state({}, None, None), "epoch": 6, "review": review})
        >>> since_review(max_epochs(3)).run(state)
        {'PROCEED': True}
    """
    checked_condition(condition, "since_review")
    keys = ["review", "history", "epoch", "global_step", "seconds"]
    return AskedOf(condition, _since_answer, keys, "since the last review")


def _since_answer(state: State[Any]) -> State[Any]:
    review = state["review"]
    if review is None or review.get("answered") is None:
        return state
    return state.update(
        history=state["history"].since(review["check"]),
        epoch=state["epoch"] - (review["epoch"] + 1),
        global_step=state["global_step"] - review["step"],
        seconds=None if state["seconds"] is None else state["seconds"] - review["seconds"],
    )
