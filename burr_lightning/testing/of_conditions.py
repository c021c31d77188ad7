"""The contract of a stop condition: what the machine, the shadow and a comparison rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from typing import Any

from burr.core import Condition, State

from ..conditions import explain
from ..conditions.replayed import states, truths
from ..conditions.truths import TRUE
from ..errors import BurrLightningError
from ..graphs import CAN_STOP
from ..history import MetricHistory
from ..state import initial_state
from .holding import hold


def check_condition(condition: Condition, history: Sequence[Mapping[str, float]]) -> int | None:
    """Hold a stop condition to what everyone who asks it relies on.

    It has to say the same of the same state whenever and however often it is asked, leave the state as it
    was, need no keys but those it declares, survive being asked before anything was logged, explain itself
    where it holds, and say of a recorded history what it says of a run.

    Args:
        condition: Any Burr condition.
        history: What is logged in each epoch, by metric; a metric may be left out of some. An epoch counts as
            one step of the optimizer and one second. A history that makes it true somewhere shows more than
            one that does not.

    Returns:
        The epoch after which it is true first, 0-based; ``None`` where it never is.

    Raises:
        AssertionError: If it breaks a rule; the text says which, and where.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> check_condition(plateau("val_loss", patience=1), [{"val_loss": v} for v in (0.9, 0.5, 0.6)])
        2
    """
    hold(isinstance(condition, Condition), f"{condition!r} is no Burr condition.")
    logged = MetricHistory()
    for epoch, metrics in enumerate(history):
        logged = logged.append(epoch, metrics, step=epoch + 1, seconds=epoch + 1.0)
    recording = logged.recording()
    start = initial_state({}, None, None)
    known: list[State[Any]] = [State({**start, **state.get_all()}) for state in states(recording)]
    _asked(condition, State(start), "before the first epoch")
    said = [_asked(condition, state, f"after epoch {epoch}") for epoch, state in enumerate(known)]
    for epoch in reversed(range(len(known))):
        again = _holds(condition, known[epoch])
        hold(
            again == said[epoch],
            f"{condition.name} remembers: after epoch {epoch} it said {said[epoch]}, and {again} when it was "
            f"asked about later epochs in between. It must depend on the state alone.",
        )
    with suppress(BurrLightningError):  # of what it reads, a recording may know nothing, and says so
        replayed = [bool(truth == TRUE) for truth in truths(condition, recording)]
        hold(replayed == said, f"{condition.name} says {said} of a run, and {replayed} of its recording.")
    return said.index(True) if True in said else None


def _asked(condition: Condition, state: State[Any], when: str) -> bool:
    """What it says of one state, when it keeps the rules there."""
    name, before = condition.name, deepcopy(state.get_all())
    try:
        said = _holds(condition, state)
    except Exception as error:
        raise AssertionError(f"{name} fails {when}: {type(error).__name__}: {error}") from error
    hold(_holds(condition, state) == said, f"{name}, asked twice {when}, says different things.")
    hold(state.get_all() == before, f"{name} changes the state {when}.")
    try:
        with_declared = _holds(condition, state.subset(*condition.reads))
    except Exception as error:
        raise AssertionError(
            f"{name} declares the keys {condition.reads}, and fails {when} with no others: {error}"
        ) from error
    hold(with_declared == said, f"{name} declares {condition.reads}, and reads other keys {when}.")
    combined = CAN_STOP & condition
    hold(_holds(combined, state) == said, f"{name} is {said} {when}, and {not said} beside another one.")
    explanation = explain(condition, state)
    hold(explanation.holds == said, f"{name} is {said} {when}, and explains {explanation.holds}.")
    hold(explanation.reason or not said, f"{name} holds {when}, and gives no reason.")
    return said


def _holds(condition: Condition, state: State[Any]) -> bool:
    return bool(condition.run(state)["PROCEED"])
