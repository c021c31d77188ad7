"""Ask a human."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from burr.core import State
from burr.core.action import Action

from ..errors import ArgumentError
from ..questions import LONGEST_TEXT, Field, Kind
from ..state import initial_state
from .ordinary import PROVIDED_INPUTS

_KINDS: dict[object, Kind] = {bool: "bool", int: "int", float: "float", str: "str"}
_TAKEN = frozenset(
    {"verdict", "comment", "by", "state", "self", *PROVIDED_INPUTS, *initial_state({}, None, None)}
)


class Review(Action):
    """Ask a human, and wait for the answer.

    The machine halts before this action until its input ``verdict`` is given, as Burr has it: what was
    trained is committed, the run is released, and ``trainer.fit`` returns. Transitions read the answer:
    ``("review", "best_model", when(verdict="no-go"))``.

    Reads: nothing. Writes: `verdict`, and a key for each of ``fields``, ``None`` where it was left out.

    Args:
        question: What is asked.
        options: What can be answered, two or more.
        fields: Values that may be given beside it, by the name of the key that later actions read, each
            with its type: ``bool``, ``int``, ``float`` or ``str``.
        at_least: The least number that a field may be, by its name.

    Raises:
        ArgumentError: If an option or a field is none.

    Example:
        >>> review = Review("Go on with a lower rate?", options=("go", "no-go"), fields={"lr": float})
        >>> review.inputs, review.writes
        ((['verdict'], ['lr']), ['verdict', 'lr'])
    """

    def __init__(
        self,
        question: str = "Go on with the training?",
        *,
        options: Sequence[str] = ("go", "no-go"),
        fields: Mapping[str, type] | None = None,
        at_least: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        fields, at_least = dict(fields or {}), dict(at_least or {})
        call = f"Review({question!r}, options={options!r}, fields={fields!r})"
        if not isinstance(question, str) or not 0 < len(question) <= LONGEST_TEXT:
            raise ArgumentError(f"{call}: the question must be a text of 1 to {LONGEST_TEXT} characters.")
        texts = not isinstance(options, str) and all(map(_can_be_typed, options))
        if not texts or len(set(options)) != len(options) or len(options) < 2:
            raise ArgumentError(f"{call}: options must be two or more different texts, not blank at an end.")
        for name, kind in fields.items():
            if not (isinstance(name, str) and name.isidentifier()) or name.startswith("_") or name in _TAKEN:
                raise ArgumentError(
                    f"{call}: {name!r} cannot name a field: it must be a word, and no key of every run. "
                    f"Use another, as 'lr'."
                )
            if kind not in _KINDS:
                raise ArgumentError(f"{call}: {name}={kind!r} must be bool, int, float or str.")
        for name in at_least:
            if fields.get(name) not in (int, float):
                raise ArgumentError(f"{call}: at_least={at_least!r} must name fields that are int or float.")
        self.question, self.options, self.fields, self.at_least = question, tuple(options), fields, at_least

    @property
    def asks_for(self) -> tuple[Field, ...]:
        """The values of an answer."""
        verdict = Field("verdict", "str", required=True, options=self.options)
        others = (
            Field(name, _KINDS[kind], required=False, at_least=self.at_least.get(name))
            for name, kind in self.fields.items()
        )
        return verdict, *others

    @property
    def reads(self) -> list[str]:
        return []

    @property
    def writes(self) -> list[str]:
        return ["verdict", *self.fields]

    @property
    def inputs(self) -> tuple[list[str], list[str]]:
        return ["verdict"], list(self.fields)

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """The answer."""
        return {name: inputs.get(name) for name in self.writes}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that knows it."""
        return state.update(**{name: result[name] for name in self.writes})

    def __repr__(self) -> str:
        fields = "".join(f", {name}: {kind.__name__}" for name, kind in self.fields.items())
        return f"Review({self.question!r}, options={self.options!r}{fields})"


def _can_be_typed(option: object) -> bool:
    return isinstance(option, str) and bool(option) and option == option.strip()
