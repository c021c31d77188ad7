"""What ends a study: conditions on its ledger, made of the same parts as those on a run."""

from __future__ import annotations

import numbers
from typing import Any

from burr.core import Condition, State

from ..conditions import explain
from ..conditions.base import StopCondition
from ..errors import ArgumentError


class OfOneValue(StopCondition):
    """A condition on the best trial, that there is in studies with one direction only."""


def no_improvement(trials: int) -> StopCondition:
    """So many trials are over since the best one was.

    Args:
        trials: How many, 1 or more.

    Raises:
        ArgumentError: If it is less, or no whole number.

    Example:
        >>> no_improvement(20)
        condition: no_improvement(20)
    """
    is_count = isinstance(trials, int) and not isinstance(trials, bool) and trials >= 1
    _see_that(
        is_count,
        f"no_improvement({trials!r})",
        "a whole number of trials, 1 or more, as in no_improvement(20)",
    )

    def check(state: State[Any]) -> tuple[bool | None, str]:
        since = state["ledger"].since_best
        return since >= trials, f"{since} trials since the best one"

    return OfOneValue(f"no_improvement({trials})", ["ledger"], check)


def target(value: float) -> StopCondition:
    """The best trial is as good as this, or better.

    Args:
        value: The value, in the direction of the study.

    Raises:
        ArgumentError: If it is no number, or NaN.

    Example:
        >>> target(0.98)
        condition: target(0.98)
    """
    _see_that(_is_number(value), f"target({value!r})", "a number, as in target(0.98)")

    def check(state: State[Any]) -> tuple[bool | None, str]:
        ledger = state["ledger"]
        if ledger.best is None:
            return None, "no trial has finished"
        best = ledger.best.value
        reached = best <= value if ledger.directions[0] == "min" else best >= value
        return reached, f"trial {ledger.best.number} came to {best:g}"

    return OfOneValue(f"target({value!r})", ["ledger"], check)


def max_seconds(seconds: float) -> StopCondition:
    """The study has run so long, in all processes together.

    Like every condition it is asked where a trial ends. Then no other one is begun, and those that run are
    waited for: it is not cut off at the second.

    Args:
        seconds: How long, more than 0.

    Raises:
        ArgumentError: If it is not, or no number.

    Example:
        >>> max_seconds(3600.0)
        condition: max_seconds(3600.0)
    """
    _see_that(
        _is_number(seconds) and seconds > 0,
        f"max_seconds({seconds!r})",
        "a number of seconds, more than 0, as in max_seconds(3600)",
    )

    def check(state: State[Any]) -> tuple[bool | None, str]:
        return state["seconds"] >= seconds, f"{state['seconds']:.1f} seconds"

    return StopCondition(f"max_seconds({seconds!r})", ["seconds"], check)


def of_one_value(condition: Condition | None) -> str | None:
    """The name of a part of a condition that looks at the best trial, ``None`` where no part does."""
    if isinstance(condition, OfOneValue):
        return condition.name
    found = map(of_one_value, getattr(condition, "parts", ()))
    return next((name for name in found if name is not None), None)


def stopped(state: State[Any], condition: Condition | None) -> State[Any]:
    """A state with the reason to end the study where it stands, unless there is none.

    Args:
        state: The state.
        condition: What ends it.
    """
    reason = reason_to_stop(condition, state)
    name = condition.name if condition is not None and reason is not None else None
    return state.update(stop_reason=reason, stopped_by=name)


def stopped_as_before(state: State[Any], condition: Condition | None) -> State[Any]:
    """A stored state with the reason to end it under the condition of today.

    A reason stays that this very condition gave: it was final, whatever the trials came to that were waited
    for then. Before any trial is over no condition is asked, as in a study that was not interrupted.

    Args:
        state: The state, as it was stored.
        condition: What ends the study now.
    """
    by = state.get("stopped_by")
    if by is not None and isinstance(condition, StopCondition) and condition.name == by:
        return state
    return stopped(state, condition if state["ledger"].over else None)


def reason_to_stop(condition: Condition | None, state: State[Any]) -> str | None:
    """Why a study ends where it stands, ``None`` where it goes on."""
    if condition is None or not condition.run(state)[Condition.KEY]:
        return None
    if isinstance(condition, StopCondition):
        return explain(condition, state).reason
    return f"{condition.name} is true"


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and value == value


def _see_that(right: bool, call: str, rule: str) -> None:
    if not right:
        raise ArgumentError(f"{call}: it must be {rule}.")
