"""Conditions on recorded histories: where each would have stopped, without going through every state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
from burr.core import Condition, State
from numpy.typing import NDArray

from ..errors import BurrLightningError, ConditionError
from ..history import MetricHistory
from ..recording import Recording
from .base import AllOf, AnyOf, Not, StopCondition, explain
from .columns import Columns
from .truths import FALSE, TRUE, UNKNOWN, Truths

_ENCODED = {False: FALSE, None: UNKNOWN, True: TRUE}


def first_stop(condition: Condition, recording: Recording) -> int | None:
    """The number of the check, 0-based, at which a condition is true first; ``None`` where it never is.

    Args:
        condition: Any Burr condition; those of this package are replayed over whole columns, others
            state by state.
        recording: The history.

    Raises:
        ConditionError: If one of these others fails: a history knows nothing of a run's other keys.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> first_stop(plateau("val_loss", 2), Recording.of_epochs({"val_loss": [0.9, 0.5, 0.6, 0.7]}))
        3
    """
    return first_stops([condition], recording)[0]


def first_stops(conditions: Iterable[Condition], recording: Recording) -> list[int | None]:
    """What `first_stop` says of several conditions, which share what they compute of the recording.

    Args:
        conditions: The conditions.
        recording: The history.
    """
    columns = Columns(recording)
    found: list[int | None] = []
    for condition in conditions:
        true = _truths(condition, columns) == TRUE
        first = int(true.argmax()) if len(true) else 0
        found.append(first if len(true) and true[first] else None)
    return found


def truths(condition: Condition, recording: Recording) -> Truths:
    """The truth of a condition at every check of a recording."""
    return _truths(condition, Columns(recording))


def _truths(condition: Condition, columns: Columns) -> Truths:
    if not _has_columns(condition):
        known = [_truth_at(condition, state) for state in states(columns.recording)]
        return np.array([_ENCODED[truth] for truth in known], dtype=np.int8)
    return _over(condition, columns)


def _over(condition: Condition, columns: Columns) -> Truths:
    if isinstance(condition, Not):
        return np.subtract(TRUE, _over(condition.parts[0], columns), dtype=np.int8)
    if isinstance(condition, (AnyOf, AllOf)):
        merge = np.maximum if isinstance(condition, AnyOf) else np.minimum
        return reduce(merge, [_over(part, columns) for part in condition.parts])
    assert isinstance(condition, StopCondition)
    assert condition.over is not None
    return condition.over(columns)


def _truth_at(condition: Condition, state: State[Any]) -> bool | None:
    try:
        return explain(condition, state).truth
    except BurrLightningError:
        raise
    except Exception as error:
        raise ConditionError(condition.name, error, state["history"].names) from error


def _has_columns(condition: Condition) -> bool:
    """Whether all of its parts can be asked of whole columns, in any order."""
    if isinstance(condition, (AnyOf, AllOf, Not)):
        return all(_has_columns(part) for part in condition.parts)
    return isinstance(condition, StopCondition) and condition.over is not None


def reason_at(condition: Condition, recording: Recording, check: int) -> str:
    """Why a condition holds at a check, in words; empty where it does not.

    Args:
        condition: The condition.
        recording: The history.
        check: The number of the check, 0-based.
    """
    state = next(state for number, state in enumerate(states(recording)) if number == check)
    return explain(condition, state).reason


def reasons_at(recording: Recording, asked: Sequence[tuple[Condition, int]]) -> list[str]:
    """What `reason_at` says of several conditions, from going through the recording once.

    Args:
        recording: The history.
        asked: The conditions, each with the number of its check, 0-based.
    """
    reasons = [""] * len(asked)
    for number, state in enumerate(states(recording)):
        for place, (condition, check) in enumerate(asked):
            if check == number:
                reasons[place] = explain(condition, state).reason
    return reasons


def states(recording: Recording) -> Iterator[State[Any]]:
    """The state of a run at each check, as far as a recording tells: what conditions can read."""
    by_check: list[dict[str, float]] = [{} for _ in range(len(recording))]
    for name, series in recording.series.items():
        for at, value in zip(series.at, series.values, strict=True):
            by_check[int(at)][name] = value
    history, newest = MetricHistory(), dict[str, float]()
    finished = recording.finished_epochs.tolist()
    for check, metrics in enumerate(by_check):
        epoch, ends = int(recording.epochs[check]), bool(recording.ends_epoch[check])
        history = history.append(epoch, metrics, ends_epoch=ends, directions=recording.directions)
        newest = {**newest, **metrics}
        steps, seconds = _recorded(recording.steps, check), _recorded(recording.seconds, check)
        yield State(
            {
                "epoch": finished[check] - 1,
                "global_step": None if steps is None else int(steps),
                "seconds": seconds,
                "metrics": newest,
                "history": history,
                "monitor": None,
                "can_stop": True,
                "finished": False,
            }
        )


def _recorded(column: NDArray[np.float64] | None, check: int) -> float | None:
    return None if column is None or np.isnan(column[check]) else float(column[check])
