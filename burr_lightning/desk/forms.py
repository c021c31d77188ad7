"""The form that answers a question: its inputs, and what was typed into them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..questions import Field, Question

PREFIX = "field."
"""Before the name of every value that is asked for, so that none is taken for another part of the form."""


@dataclass(frozen=True)
class Choice:
    """One radio button."""

    value: str
    """What is sent, empty for what is left out."""
    label: str
    chosen: bool


@dataclass(frozen=True)
class Input:
    """One value that is asked for."""

    name: str
    """What it is called in the form."""
    label: str
    kind: str
    hint: str
    """What fits, in words."""
    required: bool
    typed: str
    choices: tuple[Choice, ...]
    """Radio buttons, empty for a line to type in."""


_HINTS = {
    "int": "a whole number",
    "float": "a number, such as 0.001 or 1e-3",
    "str": "text",
    "any": "JSON, such as 0.5 or [1, 2]; what is no JSON counts as text",
}


def inputs_of(question: Question, typed: Mapping[str, str]) -> list[Input]:
    """The inputs of a question, with what was typed before."""
    return [_input(field, typed.get(field.name, "")) for field in question.fields]


def typed_values(form: Mapping[str, str]) -> dict[str, str]:
    """What was typed into the inputs of a form, by the names of the values that are asked for."""
    return {name[len(PREFIX) :]: text for name, text in form.items() if name.startswith(PREFIX)}


def _input(field: Field, typed: str) -> Input:
    hint = "" if field.options or field.kind == "bool" else _HINTS.get(field.kind, field.kind)
    hint += f"; {field.at_least:g} or more" if field.at_least is not None else ""
    return Input(
        f"{PREFIX}{field.name}", field.name, field.kind, hint, field.required, typed, _choices(field, typed)
    )


def _choices(field: Field, typed: str) -> tuple[Choice, ...]:
    values = field.options or (("yes", "no") if field.kind == "bool" else ())
    choices = [Choice(str(value), str(value), str(value) == typed) for value in values]
    if choices and not field.required:
        choices.append(Choice("", "leave it out", not any(choice.chosen for choice in choices)))
    return tuple(choices)
