"""Conditions that are asked about a part of a run alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from burr.core import Condition, State

from ..conditions import Explanation, StopCondition, explain, metrics_of
from ..conditions.base import AllOf, AnyOf
from ..conditions.columns import Columns
from ..conditions.truths import Truths
from ..errors import ArgumentError, MachineError


class AskedOf(StopCondition):
    """A condition that is asked about a part of a run.

    Args:
        condition: The condition.
        part: The state as if the run had been that part alone.
        keys: The keys that tell which part.
        suffix: What is added to its name.
    """

    def __init__(
        self,
        condition: Condition,
        part: Callable[[State[Any]], State[Any]],
        keys: Sequence[str],
        suffix: str,
    ) -> None:
        name = _with_suffix(condition.name, suffix, is_combined=isinstance(condition, (AnyOf, AllOf)))
        reads = dict.fromkeys([*condition.reads, *keys])
        super().__init__(name, reads, self._checked, metrics_of(condition), self._refuse_to_replay)
        self._condition, self._part, self._suffix = condition, part, suffix

    def _checked(self, state: State[Any]) -> tuple[bool | None, str]:
        found = self.explain(state)
        return found.truth, found.text

    def explain(self, state: State[Any]) -> Explanation:
        """What the condition says of the part."""
        return self._named(explain(self._condition, self._part(state)))

    def _named(self, explanation: Explanation) -> Explanation:
        parts = tuple(self._named(part) for part in explanation.parts)
        name = _with_suffix(explanation.name, self._suffix, is_combined=len(parts) > 1)
        return replace(explanation, name=name, parts=parts)

    def _refuse_to_replay(self, columns: Columns) -> Truths:
        raise ArgumentError(
            f"{self.name}: a recorded history does not say where that part of a run began, so this cannot be "
            f"replayed on one. Give the condition as it is, to ask it of the whole run."
        )


def _with_suffix(name: str, suffix: str, *, is_combined: bool) -> str:
    if not suffix:
        return name
    return f"({name}) {suffix}" if is_combined else f"{name} {suffix}"


def in_this_stage(condition: Condition) -> StopCondition:
    """A condition, asked as if the run had begun with the stage under way.

    Patience counts from the beginning of the stage, `max_epochs` counts its epochs, `max_time` its
    seconds. A metric that was not logged in the stage yet makes the condition neither true nor false.

    Args:
        condition: Any Burr condition; `BeginStage` says where a stage begins.

    Returns:
        A Burr condition that reads ``stage`` beside what the condition reads. It cannot be replayed on a
        recorded history, which does not say where a stage began: trying raises `ArgumentError`.

    Raises:
        MachineError: If it is no condition.

    Example:
        >>> from burr_lightning.conditions import max_epochs
        >>> from burr_lightning import MetricHistory
        >>> stage = {"name": "head", "number": 1, "epoch": 4, "check": 0, "step": 0, "seconds": 0.0}
        >>> facts = {"epoch": 6, "global_step": 0, "seconds": 0.0, "stage": stage, "history": MetricHistory()}
        >>> in_this_stage(max_epochs(3)).run(State(facts))
        {'PROCEED': True}
    """
    checked_condition(condition, "in_this_stage")
    keys = ["stage", "history", "epoch", "global_step", "seconds"]
    return AskedOf(condition, _of_stage, keys, "in this stage")


def since_rollback(condition: Condition) -> StopCondition:
    """A condition, asked about what was logged since the newest rollback: what was before is undone.

    Args:
        condition: Any Burr condition.
    """
    return AskedOf(condition, _of_what_followed_rollback, ["rollback", "history"], "")


def checked_condition(given: object, call: str) -> Condition:
    """What was given, when it is a Burr condition.

    Raises:
        MachineError: If it is none.
    """
    if not isinstance(given, Condition):
        raise MachineError(
            f"{call}({given!r}): it must be a Burr condition, as those of burr_lightning.conditions or "
            f"burr.core.Condition.expr(...) are."
        )
    return given


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


def _of_what_followed_rollback(state: State[Any]) -> State[Any]:
    check = (state["rollback"] or {}).get("check")  # rows of an older version do not say it
    return state if check is None else state.update(history=state["history"].since(check))
