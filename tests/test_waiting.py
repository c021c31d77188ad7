"""What an action asks a human, read off how its author wrote it."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Literal

import pydantic
import pytest
from burr.core import State, action
from burr.core.action import Action, SingleStepAction, create_action

from burr_lightning.actions import Call, Review
from burr_lightning.errors import AnswerError
from burr_lightning.questions import Answer, Field, Question
from burr_lightning.state import initial_state
from burr_lightning.waiting import question_of

if TYPE_CHECKING:
    from nowhere import Unknown

STATE = State(initial_state({}, None, None))


def asked(given):
    """The text, and each field as (name, kind, required, options)."""
    named = given.with_name("it") if isinstance(given, Action) else create_action(given, "it")
    question = question_of(named, 1, STATE, None)
    return question.text, [(f.name, f.kind, f.required, f.options) for f in question.fields]


@action(reads=[], writes=[])
def typed(state: Unknown, tempo: Literal["slow", "fast"], steps: int, note: str | None = None) -> Unknown:
    """How fast?"""


@action(reads=[], writes=[])
def loose(state, layers: list[int], size: Literal[1, 2], mixed: Literal[1, "two"]):
    """Which layers?"""


class Held(pydantic.BaseModel):
    rate: float = 0.1


@action.pydantic(reads=[], writes=["rate"])
def held(state: Held, careful: bool) -> Held:
    """Be careful?"""
    return state


def scaled(state, factor: float, *, k: int):
    """By how much?"""


class Scales:
    """By what?"""

    def __call__(self, state, factor: float):
        return None


class InOneStep(SingleStepAction):
    """One step?"""

    reads = writes = []  # noqa: RUF012  # as Burr has them
    inputs = ["n"]  # noqa: RUF012

    def run_and_update(self, state, n: int, **inputs):
        return {}, state


class InTwo(Action):
    """Two steps?"""

    reads = writes = []  # noqa: RUF012
    inputs = ["rate"]  # noqa: RUF012

    def run(self, state, rate: float):
        return {}

    def update(self, result, state):
        return state


SPEEDS = [
    ("steps", "int", True, None),
    ("tempo", "str", True, ("slow", "fast")),
    ("note", "str", False, None),
]


@pytest.mark.parametrize(
    ("given", "text", "fields"),
    [
        (typed, "How fast?", SPEEDS),
        (
            loose,
            "Which layers?",
            [("layers", "any", True, None), ("mixed", "any", True, None), ("size", "int", True, (1, 2))],
        ),
        (held, "Be careful?", [("careful", "bool", True, None)]),
        (Call(partial(scaled, k=3)), "By how much?", [("factor", "float", True, None)]),
        (Call(Scales()), "By what?", [("factor", "float", True, None)]),
        (Call(lambda state, factor: None), "it needs factor.", [("factor", "any", True, None)]),
        (InOneStep(), "One step?", [("n", "int", True, None)]),
        (InTwo(), "Two steps?", [("rate", "float", True, None)]),
    ],
)
def test_the_question_is_read_off_the_action(given, text, fields):
    assert asked(given) == (text, fields)


def test_a_question_and_an_answer_come_back_from_json_also_of_a_newer_version():
    question = question_of(Review(fields={"lr": float}, at_least={"lr": 0}).with_name("ask"), 3, STATE, "why")
    stored = json.loads(json.dumps(question.as_json()))
    assert Question.from_json({**stored, "newer": 1}) == question
    answer = Answer({"verdict": "go"}, "", "ada", "python", 1.0, question.fingerprint)
    assert Answer.from_json({**json.loads(json.dumps(answer.as_json())), "newer": 1}) == answer


def test_an_answer_is_bound_to_what_is_asked_and_where():
    question = question_of(Review().with_name("ask"), 3, STATE, "why")
    same = question_of(Review().with_name("ask"), 3, STATE, "another reason, and another time")
    others = [
        question_of(Review("Another?").with_name("ask"), 3, STATE, "why"),
        question_of(Review(options=("yes", "no")).with_name("ask"), 3, STATE, "why"),
        question_of(Review().with_name("look"), 3, STATE, "why"),
        question_of(Review().with_name("ask"), 4, STATE, "why"),
        question_of(Review().with_name("ask"), 3, STATE.update(epoch=5), "why"),
        question_of(Review().with_name("ask"), 3, STATE.update(global_step=5), "why"),
    ]
    assert same.fingerprint == question.fingerprint
    assert len({question.fingerprint, *(other.fingerprint for other in others)}) == 7


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (Field("a", "bool", True), "Yes", True),
        (Field("a", "bool", True), "false", False),
        (Field("a", "int", True), " 3 ", 3),
        (Field("a", "float", True), "1e-4", 1e-4),
        (Field("a", "str", True), "1e-4", "1e-4"),
        (Field("a", "any", True), '{"b": [1]}', {"b": [1]}),
        (Field("a", "any", True), "plain", "plain"),
        (Field("a", "any", True), "[" * 100_000, "[" * 100_000),
        (Field("a", "int", True, (1, 2)), "2", 2),
    ],
)
def test_what_is_typed_becomes_a_value(field, text, value):
    assert field.parsed(text) == value
    assert len(text) > 2000 or field.checked(value) == value


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        (Field("a", "bool", True), 1, "a=1 is no bool"),
        (Field("a", "int", True), True, "a=True is no int"),
        (Field("a", "int", True), 1.0, "a=1.0 is no int"),
        (Field("a", "int", True, None, 3), 2, "a=2 is less than 3"),
        (Field("a", "any", True), (1, 2), "nothing that JSON can hold"),
        (Field("a", "any", True), float("nan"), "nothing that JSON can hold"),
        (Field("a", "any", True), ["x" * 5000], "5004 characters"),
        (Field("a", "str", True), "x" * 2001, "2003 characters"),
        (Field("a", "int", True, (1, 2)), 3, "a=3 is none of its options"),
        (Field("a", "str", True), "\x1b[2J", "signs in it that cannot be shown"),
        (Field("a", "any", True), {"b": ["\ud800"]}, "signs in it that cannot be shown"),
    ],
)
def test_what_does_not_fit_is_told(field, value, why):
    question = Question(1, "ask", "Go on?", (field,), None, 0, 0.0)
    with pytest.raises(AnswerError, match=why):
        question.checked({"a": value}, "run")
