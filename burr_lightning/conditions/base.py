"""What every stop condition is: a Burr condition that can say why it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from burr.core import Condition, State

from ..recording import Recording
from .truths import Truths


@dataclass(frozen=True)
class Explanation:
    """The truth of a condition on one state, with the numbers behind it."""

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
            return f"{self.name}: {self.text}"
        return "; ".join(part.reason for part in self.parts if part.reason)

    @property
    def numbers(self) -> str:
        """Its numbers, or those of all its parts."""
        return self.text or "; ".join(part.numbers for part in self.parts if part.numbers)

    def __str__(self) -> str:
        """The truth of every part with its numbers, one line each, parts indented under their whole."""
        said = {True: "true", False: "false", None: "not known yet"}[self.truth]
        lines = [f"{self.name}: {said}" + (f" ({self.text})" if self.text else "")]
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
        over: Its truth at every check of a recording at once; ``None`` where it can only be asked state
            by state.
    """

    def __init__(
        self,
        name: str,
        keys: Iterable[str],
        check: Callable[[State[Any]], tuple[bool | None, str]],
        metrics: Iterable[str] = (),
        over: Callable[[Recording], Truths] | None = None,
    ) -> None:
        super().__init__(list(keys), lambda state: bool(self.truth(state)), name=name)
        self._check = check
        self.metrics = frozenset(metrics)
        self.over = over

    def truth(self, state: State[Any]) -> bool | None:
        """Whether it is true of a state; ``None`` where that is not known yet."""
        return self._check(state)[0]

    def explain(self, state: State[Any]) -> Explanation:
        """The truth of this condition on a state, with its numbers."""
        return Explanation(self.name, *self._check(state))

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


class _Combined(StopCondition):
    """A condition made of others."""

    def __init__(self, name: str, parts: tuple[Condition, ...]) -> None:
        keys = dict.fromkeys(key for part in parts for key in part.reads)
        metrics = frozenset().union(*(metrics_of(part) for part in parts))
        super().__init__(name, keys, lambda state: (self.truth(state), ""), metrics)
        self.parts = parts

    def explain(self, state: State[Any]) -> Explanation:
        """The truth of every part on a state."""
        parts = tuple(explain(part, state) for part in self.parts)
        return Explanation(self.name, self.truth(state), "", parts)


class AnyOf(_Combined):
    """True when one of its parts is."""

    def __init__(self, *parts: Condition) -> None:
        super().__init__(" | ".join(part.name for part in parts), parts)

    def truth(self, state: State[Any]) -> bool | None:
        """True when one part is, false when all are."""
        truths = {_truth(part, state) for part in self.parts}
        return True if True in truths else (None if None in truths else False)


class AllOf(_Combined):
    """True when all of its parts are."""

    def __init__(self, *parts: Condition) -> None:
        names = (f"({p.name})" if _is_open(p, " | ") else p.name for p in parts)
        super().__init__(" & ".join(names), parts)

    def truth(self, state: State[Any]) -> bool | None:
        """False when one part is, true when all are."""
        truths = {_truth(part, state) for part in self.parts}
        return False if False in truths else (None if None in truths else True)


class Not(_Combined):
    """True when its part is false."""

    def __init__(self, part: Condition) -> None:
        combined = isinstance(part, AllOf) or _is_open(part, " | ") or _is_open(part, " & ")
        super().__init__(f"~({part.name})" if combined else f"~{part.name}", (part,))

    def truth(self, state: State[Any]) -> bool | None:
        """The opposite of the part's, where that is known."""
        known = _truth(self.parts[0], state)
        return None if known is None else not known

    def explain(self, state: State[Any]) -> Explanation:
        """What the part says, turned round."""
        part = explain(self.parts[0], state)
        text = part.text if isinstance(self.parts[0], StopCondition) and part.text else _denied(part)
        return Explanation(self.name, self.truth(state), text, (part,))


def _is_open(part: Condition, operator: str) -> bool:
    """Whether a name needs brackets beside a stronger operator."""
    if isinstance(part, StopCondition):
        return isinstance(part, AnyOf) and operator == " | "
    return operator in part.name


def _denied(explanation: Explanation) -> str:
    """What of a condition is false, by name; all that is known of one that is not."""
    if not explanation.parts:
        said = {True: "true", False: "false", None: "not known yet"}[explanation.truth]
        numbers = explanation.text
        return f"{explanation.name} is {said}" + (
            f": {numbers}" if numbers and numbers != f"is {said}" else ""
        )
    false = [part for part in explanation.parts if part.truth is False]
    return "; ".join(_denied(part) for part in false or explanation.parts)


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
    return Explanation(condition.name, truth, f"is {str(truth).lower()}")


def metrics_of(condition: Condition) -> frozenset[str]:
    """The metrics that a condition is known to need; empty for a Burr condition of another kind."""
    return condition.metrics if isinstance(condition, StopCondition) else frozenset()


def _condition(other: object, operator: str) -> Condition:
    if not isinstance(other, Condition):
        raise TypeError(f"Only a Burr condition can be combined with {operator}, not {other!r}.")
    return other
