"""What every stop condition is: a Burr condition that can say why it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from burr.core import Condition, State

from .columns import Columns
from .truths import Truths

_IN_WORDS = {True: "true", False: "false", None: "not known yet"}
_TRUE, _FALSE = "is true", "is false"
"""All that a condition of Burr's own has to say."""


@dataclass(frozen=True)
class Explanation:
    """The truth of a condition on one state, with the numbers behind it.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory, explain
        >>> from burr_lightning.conditions import reached
        >>> state = State({"history": MetricHistory().append(0, {"val_acc": 0.91})})
        >>> explanation = explain(reached("val_acc", 0.9, mode="max"), state)
        >>> explanation.holds, explanation.parts
        (True, ())
    """

    name: str
    """The condition, as it was written."""
    truth: bool | None
    """Whether it is true; ``None`` where that is not known yet."""
    text: str
    """The numbers, in words; empty where the condition has none to give."""
    parts: tuple[Explanation, ...] = field(default=())
    """The explanations of what it was combined from."""

    @property
    def holds(self) -> bool:
        """Whether it is true: what is not known yet is not."""
        return bool(self.truth)

    @property
    def reason(self) -> str:
        """Why it holds: each part that made it true, with its numbers; empty where it is false."""
        if not self.holds:
            return ""
        if self.text:
            return f"{self.name} {self.text}" if self.text == _TRUE else f"{self.name}: {self.text}"
        return "; ".join(part.reason for part in self.parts if part.reason)

    @property
    def _has_numbers(self) -> bool:
        return self.text not in ("", _TRUE, _FALSE)

    def __str__(self) -> str:
        """The truth of every part with its numbers, one line each, parts indented under their whole."""
        lines = [f"{self.name}: {_IN_WORDS[self.truth]}" + (f" ({self.text})" if self._has_numbers else "")]
        lines += [f"  {line}" for part in self.parts for line in str(part).splitlines()]
        return "\n".join(lines)


class StopCondition(Condition):
    """A Burr condition, pure in the state, that explains itself.

    A condition on a metric that was not logged yet is neither true nor false, nor is its negation:
    missing data decides nothing. Burr, who knows only true and false, is told false.

    Args:
        name: How the user wrote it.
        keys: The state keys that it reads.
        check: From a state to whether the condition holds, ``None`` where that is not known yet, and
            the numbers behind that, in words.
        metrics: The metrics that it needs.
        over: Its truth at every check of a recording at once, from the recording's columns; ``None`` where
            it can only be asked state by state.

    Example:
        >>> every_tenth = StopCondition(
        ...     "every_tenth", ["epoch"], lambda state: (state["epoch"] % 10 == 9, f"epoch {state['epoch']}")
        ... )
        >>> every_tenth.explain(State({"epoch": 19})).reason
        'every_tenth: epoch 19'
    """

    def __init__(
        self,
        name: str,
        keys: Iterable[str],
        check: Callable[[State[Any]], tuple[bool | None, str]],
        metrics: Iterable[str] = (),
        over: Callable[[Columns], Truths] | None = None,
    ) -> None:
        super().__init__(list(keys), lambda state: bool(self.truth(state)), name=name)
        self._check = check
        self.metrics = frozenset(metrics)
        self.over = over

    def truth(self, state: State[Any]) -> bool | None:
        """Whether it is true of a state; ``None`` where that is not known yet."""
        return self._found(state)[0]

    def explain(self, state: State[Any]) -> Explanation:
        """The truth of this condition on a state, with its numbers."""
        return Explanation(self.name, *self._found(state))

    def _found(self, state: State[Any]) -> tuple[bool | None, str]:
        match self._check(state):
            case (True | False | None as truth, str(text)):
                return truth, text
            case (np.bool_() as truth, str(text)):
                return bool(truth), text
            case other:
                raise TypeError(
                    f"StopCondition({self.name!r}, check=...): check returned {other!r}, and must return two "
                    f"things: True, False or None, and the numbers behind that, as (True, '0.98 >= 0.95')"
                )

    def __or__(self, other: Condition) -> StopCondition:
        return AnyOf(self, _condition(other, "|"))

    def __ror__(self, other: Condition) -> StopCondition:
        return AnyOf(_condition(other, "|"), self)

    def __and__(self, other: Condition) -> StopCondition:
        return AllOf(self, _condition(other, "&"))

    def __rand__(self, other: Condition) -> StopCondition:
        return AllOf(_condition(other, "&"), self)

    def __invert__(self) -> StopCondition:
        return Not(self)

    def __bool__(self) -> bool:
        """Refused: Python's own words would drop a part of a combination without a word.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            f"{self.name} is neither true nor false by itself: it is asked about a state. Combine conditions "
            f"with & for and, | for or, ~ for not, and brackets; to ask one, explain(condition, state).holds."
        )


class _Combined(StopCondition):
    """A condition made of others."""

    def __init__(self, name: str, parts: tuple[Condition, ...]) -> None:
        keys = dict.fromkeys(key for part in parts for key in part.reads)
        metrics = frozenset().union(*(metrics_of(part) for part in parts))
        super().__init__(name, keys, lambda state: (self.truth(state), ""), metrics)
        self.parts = parts


class _InOrder(_Combined):
    """Parts that are asked from left to right, as Python's ``and`` and ``or`` do.

    What follows the part that decides is not asked: it may read what is not there yet. Neither does a
    part that fails after one that is not known yet end a run: it may have failed for the same reason.
    """

    decides: ClassVar[bool]
    """The truth of a part that is that of the whole."""

    def truth(self, state: State[Any]) -> bool | None:
        """Whether it is true of a state; ``None`` where that is not known yet."""
        unknown = False
        for part in self.parts:
            found = _try_to_explain(part, state).truth if unknown else _truth(part, state)
            if found is self.decides:
                return found
            unknown = unknown or found is None
        return None if unknown else not self.decides

    def explain(self, state: State[Any]) -> Explanation:
        """The truth of every part on a state."""
        parts: list[Explanation] = []
        for part in self.parts:
            known = all(before.truth is (not self.decides) for before in parts)
            parts.append(explain(part, state) if known else _try_to_explain(part, state))
        return Explanation(self.name, self.truth(state), "", tuple(parts))


class AnyOf(_InOrder):
    """True when one of its parts is, false when all are."""

    decides = True

    def __init__(self, *parts: Condition) -> None:
        super().__init__(" | ".join(_named(part) for part in parts), parts)


class AllOf(_InOrder):
    """False when one of its parts is, true when all are."""

    decides = False

    def __init__(self, *parts: Condition) -> None:
        super().__init__(" & ".join(_named(part, AnyOf) for part in parts), parts)


class Not(_Combined):
    """True when its part is false."""

    def __init__(self, part: Condition) -> None:
        super().__init__(f"~{_named(part, AnyOf, AllOf)}", (part,))

    def truth(self, state: State[Any]) -> bool | None:
        """The opposite of the part's, where that is known."""
        known = _truth(self.parts[0], state)
        return None if known is None else not known

    def explain(self, state: State[Any]) -> Explanation:
        """What the part says, turned round."""
        part = explain(self.parts[0], state)
        speaks_for_itself = isinstance(self.parts[0], StopCondition) and not part.parts
        text = part.text if speaks_for_itself and part.text else _said(part)
        return Explanation(self.name, self.truth(state), text, (part,))


def _named(part: Condition, *weaker: type[StopCondition]) -> str:
    """The name of a part, in brackets beside a stronger operator."""
    if isinstance(part, StopCondition):
        return f"({part.name})" if isinstance(part, weaker) else part.name
    return part.name if part.name.isidentifier() else f"({part.name})"


def _said(explanation: Explanation) -> str:
    """What made a condition what it is: itself with its numbers, or those of its parts that decided."""
    if explanation.text or not explanation.parts:
        said = f"{explanation.name} is {_IN_WORDS[explanation.truth]}"
        return f"{said}: {explanation.text}" if explanation._has_numbers else said
    deciding = [part for part in explanation.parts if part.truth is explanation.truth]
    return "; ".join(_said(part) for part in deciding or explanation.parts)


def _try_to_explain(condition: Condition, state: State[Any]) -> Explanation:
    """What a condition says that the whole does not depend on; nothing where it fails."""
    try:
        return explain(condition, state)
    except Exception as error:
        return Explanation(condition.name, None, f"could not be asked: {type(error).__name__}: {error}")


def _truth(condition: Condition, state: State[Any]) -> bool | None:
    if isinstance(condition, StopCondition):
        return condition.truth(state)
    return bool(condition.run(state)[Condition.KEY])


def explain(condition: Condition, state: State[Any]) -> Explanation:
    """The truth of every part of a condition on a state, with the numbers behind it.

    Args:
        condition: Any Burr condition; those of this package give their numbers.
        state: The state of a run, ``burr.state`` or ``Run.open(...).state``.

    Example:
        >>> from burr.core import State
        >>> from burr_lightning import MetricHistory
        >>> from burr_lightning.conditions import reached
        >>> history = MetricHistory().append(0, {"val_acc": 0.985})
        >>> print(explain(reached("val_acc", 0.98, mode="max"), State({"history": history})).reason)
        reached(val_acc, 0.98, mode='max'): 0.985 >= 0.98 (epoch 0)
    """
    if isinstance(condition, StopCondition):
        return condition.explain(state)
    truth = _truth(condition, state)
    return Explanation(condition.name, truth, _TRUE if truth else _FALSE)


def metrics_of(condition: Condition) -> frozenset[str]:
    """The metrics that a condition is known to need; empty for a Burr condition of another kind.

    Example:
        >>> from burr_lightning.conditions import max_epochs, plateau, reached
        >>> sorted(metrics_of((plateau("val_loss", 5) | reached("val_acc", 0.9)) & max_epochs(3)))
        ['val_acc', 'val_loss']
    """
    return condition.metrics if isinstance(condition, StopCondition) else frozenset()


def _condition(other: object, operator: str) -> Condition:
    if not isinstance(other, Condition):
        raise TypeError(f"Only a Burr condition can be combined with {operator}, not {other!r}.")
    return other
