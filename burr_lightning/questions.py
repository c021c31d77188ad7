"""What a machine asks a human, and which answers fit: values without a Trainer, a file or a screen."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeVar

from .errors import AnswerError

Kind = Literal["bool", "int", "float", "str", "any"]
"""What a value has to be; ``any`` is whatever JSON can hold."""

LONGEST_TEXT = 1000
"""Characters of a text in an answer, and of its comment: they are part of every row from there on."""

_UNSHOWN = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
"""Signs that steer a terminal, and halves of signs, which no file takes."""

_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Field:
    """One value that is asked for."""

    name: str
    kind: Kind
    required: bool
    options: tuple[Any, ...] | None = None
    """The values that it may have, ``None`` for any of its kind."""
    at_least: float | None = None
    """The least number that it may be, ``None`` for any."""

    def in_words(self) -> str:
        """What fits.

        Example:
            >>> Field("verdict", "str", True, ("go", "no-go")).in_words()
            "verdict ('go' or 'no-go')"
            >>> Field("lr", "float", False).in_words()
            'lr (float, may be left out)'
        """
        kind = " or ".join(map(repr, self.options)) if self.options else self.kind
        kind += f", {self.at_least:g} or more" if self.at_least is not None else ""
        return f"{self.name} ({kind}{'' if self.required else ', may be left out'})"

    def checked(self, value: object) -> Any:
        """A value as it is given to the action.

        Raises:
            ValueError: If it does not fit; the text says why.
        """
        fits = {
            "bool": isinstance(value, bool),
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, (int, float)) and not isinstance(value, bool),
            "str": isinstance(value, str),
            "any": _is_json(value),
        }
        if self.options is not None and value not in self.options:
            raise ValueError(f"{self.name}={value!r} is none of its options")
        if not fits[self.kind]:
            what = "nothing that JSON can hold" if self.kind == "any" else f"no {self.kind}"
            raise ValueError(f"{self.name}={value!r} is {what}")
        if self.kind == "float":
            value = _finite(self.name, value)
        if self.at_least is not None and not value >= self.at_least:  # type: ignore[operator]
            raise ValueError(f"{self.name}={value!r} is less than {self.at_least:g}")
        if self.kind in ("str", "any") and (length := len(json.dumps(value))) > 2 * LONGEST_TEXT:
            raise ValueError(f"{self.name} has {length} characters, more than {LONGEST_TEXT}")
        if not is_shown(value):
            raise ValueError(f"{self.name} has signs in it that cannot be shown")
        return value

    def parsed(self, text: str) -> Any:
        """A value that was typed, as its kind.

        Raises:
            ValueError: If it stands for none of that kind.
        """
        text = text.strip()
        for option in self.options or ():
            if text == str(option):
                return option
        if self.kind == "bool" and text.lower() in _TRUTHS:
            return _TRUTHS[text.lower()]
        if self.kind in ("int", "float"):
            try:
                return int(text) if self.kind == "int" else float(text)
            except ValueError:
                raise ValueError(f"{self.name}={text!r} is no {self.kind}") from None
        if self.kind == "any":
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return text
        return text


@dataclass(frozen=True)
class Question:
    """What a run waits for.

    Example:
        >>> question = Question(6, "review", "Go on with the training?", (), None, 2, 0.0)
        >>> question.text, question.epoch
        ('Go on with the training?', 2)
    """

    number: int
    """The step of the machine that waits: no other question of the run has it."""
    action: str
    """The action that waits."""
    text: str
    """What is asked."""
    fields: tuple[Field, ...]
    """The values that are asked for."""
    reason: str | None
    """Why the machine asks: the condition that led there, in words."""
    epoch: int
    """The last finished epoch, -1 before the first."""
    asked: float
    """When, in seconds since 1970."""
    step: int = 0
    """The optimizer steps that were taken."""

    @property
    def fingerprint(self) -> str:
        """What an answer is bound to: what is asked, and where in the training; not when, and not why."""
        bound = {key: value for key, value in self.as_json().items() if key not in ("asked", "reason")}
        return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()[:16]

    def checked(self, values: Mapping[str, Any], run_id: str) -> dict[str, Any]:
        """The values of an answer, when it fits.

        Raises:
            AnswerError: If a value is missing, unknown, or does not fit.
        """
        known = {field.name: field for field in self.fields}
        unknown = sorted(values.keys() - known.keys())
        missing = [field.name for field in self.fields if field.required and values.get(field.name) is None]
        if unknown:
            raise self._error(run_id, f"it does not ask for {', '.join(unknown)}")
        if missing:
            raise self._error(run_id, f"{', '.join(missing)} is missing")
        try:
            return {name: known[name].checked(value) for name, value in values.items() if value is not None}
        except ValueError as error:
            raise self._error(run_id, str(error)) from None

    def parsed(self, texts: Mapping[str, str], run_id: str) -> dict[str, Any]:
        """The values of an answer that was typed; one that is empty was left out.

        Raises:
            AnswerError: If one does not fit.
        """
        known = {field.name: field for field in self.fields}
        unknown = sorted(texts.keys() - known.keys())
        if unknown:
            raise self._error(run_id, f"it does not ask for {', '.join(unknown)}")
        try:
            typed = {name: known[name].parsed(text) for name, text in texts.items() if text.strip()}
        except ValueError as error:
            raise self._error(run_id, str(error)) from None
        return self.checked(typed, run_id)

    def _error(self, run_id: str, why: str) -> AnswerError:
        fits = "; ".join(field.in_words() for field in self.fields)
        return AnswerError(run_id, self.text, why, fits)

    def as_json(self) -> dict[str, Any]:
        """The question as JSON."""
        return asdict(self)

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Question:
        """The question that `as_json` gave, here or in another version.

        Raises:
            KeyError, TypeError, ValueError: If it is none.
        """
        found = [_known(Field, field) for field in stored["fields"]]
        asked_for = [replace(f, options=tuple(f.options) if f.options else None) for f in found]
        return replace(_known(Question, stored), fields=tuple(asked_for))


@dataclass(frozen=True)
class Answer:
    """What a human said.

    Example:
        >>> answer = Answer({"verdict": "go"}, "It still learns.", "ada", "python", 0.0)
        >>> Answer.from_json(answer.as_json()) == answer
        True
    """

    values: dict[str, Any]
    """The values that were asked for; those that were left out are not there."""
    comment: str
    """What they noted, empty for nothing."""
    by: str
    """Who."""
    via: str
    """How: ``python``, ``command line``, ``web page``, ``terminal``, or ``time-out`` where nobody did."""
    answered: float
    """When, in seconds since 1970."""
    of: str = ""
    """The fingerprint of the question that it answers."""

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Answer:
        """The answer that `as_json` gave, here or in another version.

        Raises:
            KeyError, TypeError, ValueError: If it is none.
        """
        return _known(Answer, stored)

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON."""
        return asdict(self)


_Stored = TypeVar("_Stored", Question, Answer, Field)


def _known(kind: type[_Stored], stored: Mapping[str, Any]) -> _Stored:
    """What was stored, without what a newer version has added."""
    names = {field.name for field in fields(kind)}
    return kind(**{key: value for key, value in stored.items() if key in names})


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name}={value!r} is not finite")
    return number


def is_shown(value: object) -> bool:
    r"""Whether a value has no text with signs in it that steer a terminal or cannot be written.

    Example:
        >>> is_shown({"note": "größer"}), is_shown(["\x1b[2J"])
        (True, False)
    """
    if isinstance(value, Mapping):
        return all(is_shown(item) for pair in value.items() for item in pair)
    if isinstance(value, (list, tuple)):
        return all(map(is_shown, value))
    return not isinstance(value, str) or _UNSHOWN.search(value) is None


def shown(text: str) -> str:
    """A text that a terminal can be given, with a mark in the place of each sign that it cannot."""
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text)


def _is_json(value: object) -> bool:
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False
