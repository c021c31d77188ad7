"""Which actions of a machine wait for a human, and what they ask."""

from __future__ import annotations

import inspect
import time
import types
from collections.abc import Callable, Iterable
from typing import Any, Literal, Union, get_args, get_origin

from burr.core import State
from burr.core.action import Action, FunctionBasedAction, SingleStepAction
from burr.core.graph import Graph

from .actions import Call, PhaseAction, Review
from .annotated import annotations_of, plain_function
from .burr_access import written_function
from .graphs import PROVIDED_INPUTS, follow, reachable
from .questions import LONGEST_TEXT, Answer, Field, Kind, Question

_KINDS: dict[Any, Kind] = {
    bool: "bool",
    "bool": "bool",
    int: "int",
    "int": "int",
    float: "float",
    "float": "float",
    str: "str",
    "str": "str",
}
"""By what a parameter is annotated with; texts are annotations that were not evaluated."""


def inputs_of_a_human(action: Action) -> list[str]:
    """The inputs that an action needs and nothing but a human gives; empty for one that does not wait."""
    if isinstance(action, PhaseAction):
        return []
    required, _ = action.optional_and_required_inputs
    return sorted(of_a_human(required))


def of_a_human(inputs: Iterable[str]) -> set[str]:
    """Those of the inputs that nothing but a human gives."""
    return {name for name in inputs if name not in PROVIDED_INPUTS and not name.startswith("__")}


def waits(graph: Graph, name: str | None) -> bool:
    """Whether the machine halts before an action, until its inputs are given."""
    action = graph.get_action(name) if name is not None else None
    return action is not None and bool(inputs_of_a_human(action))


def question_of(action: Action, number: int, state: State[Any], reason: str | None) -> Question:
    """What an action asks.

    Args:
        action: One that waits.
        number: The step that it will be.
        state: The state that it waits in.
        reason: Why the machine went there.
    """
    if isinstance(action, Review):
        text, fields = action.question, action.asks_for
    else:
        text, fields = _text(action), _fields(action)
    return Question(
        number,
        str(action.name),
        text[:LONGEST_TEXT],
        fields,
        reason[:LONGEST_TEXT] if reason else None,
        state["epoch"],
        round(time.time(), 3),
        state.get("global_step", 0),
    )


def question_in_state(question: Question) -> dict[str, Any]:
    """The open question, as the state's `review` holds it."""
    return {
        "number": question.number,
        "action": question.action,
        "question": question.text,
        "reason": question.reason,
        "epoch": question.epoch,
        "asked": question.asked,
        "answered": None,
    }


def answer_in_state(question: Question, answer: Answer, state: State[Any]) -> dict[str, Any]:
    """The answer, as the state's `review` holds it, and where in the run it was given."""
    said = {key: value for key, value in answer.as_json().items() if key != "of"}
    return {
        **question_in_state(question),
        **said,
        "check": state["history"].checks,
        "step": state["global_step"],
        "seconds": state["seconds"],
    }


def is_due(graph: Graph, position: str | None, state: State[Any], step: int, question: Question) -> bool:
    """Whether a machine may come to a question before anything is trained.

    Args:
        graph: The machine.
        position: The action that ran last.
        state: The state after it.
        step: The number of its next step.
        question: A question that was asked.
    """
    following, _ = follow(graph, position, state)
    if following is None or waits(graph, following):
        return following == question.action and question.number == step
    return question.number > step and question.action in reachable(graph, following, through_phases=False)


def _text(action: Action) -> str:
    """What a user's own action asks: the first line of what its author wrote about it."""
    function = _function(action)
    written = type(action).__dict__.get("__doc__") if function is None else _written(function)
    lines = (written or "").strip().splitlines()
    return lines[0].strip() if lines else f"{action.name} needs {', '.join(inputs_of_a_human(action))}."


def _written(function: Callable[..., Any]) -> str | None:
    plain = plain_function(function)
    return inspect.getdoc(plain) if inspect.isroutine(plain) else type(plain).__dict__.get("__doc__")


def _fields(action: Action) -> tuple[Field, ...]:
    required = inputs_of_a_human(action)
    _, optional = action.optional_and_required_inputs
    annotated = annotations_of(_function(action) or _method(action))
    names = [*required, *sorted(of_a_human(optional))]
    return tuple(_field(name, annotated.get(name), name in required) for name in names)


def _function(action: Action) -> Callable[..., Any] | None:
    """The function that a user wrote, ``None`` where the action is a class of its own."""
    if isinstance(action, FunctionBasedAction):
        return written_function(action)
    return action.function if isinstance(action, Call) else None


def _method(action: Action) -> Callable[..., Any]:
    if isinstance(action, SingleStepAction):
        return action.run_and_update
    return action.run


def _field(name: str, annotation: Any, required: bool) -> Field:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        annotation = kinds[0] if len(kinds) == 1 else None
    options = get_args(annotation) if get_origin(annotation) is Literal else ()
    types_of = {type(option) for option in options}
    if len(types_of) == 1 and types_of <= {str, int}:
        return Field(name, _KINDS[types_of.pop()], required, options)
    kind = _KINDS.get(annotation, "any") if annotation.__hash__ is not None else "any"
    return Field(name, kind, required)
