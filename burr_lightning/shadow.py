"""Shadow conditions: recorded when they would have stopped a run, and never obeyed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from burr.core import Condition, State

from .conditions import explain, metrics_of
from .conditions.replayed import reason_at, truths
from .conditions.truths import TRUE
from .errors import ArgumentError
from .graphs import CAN_STOP
from .history import MetricHistory
from .recording import Recording

log = logging.getLogger(__name__)

Shadows = Mapping[str, Condition]


def checked_shadow(shadow: object) -> dict[str, Condition]:
    """The shadow conditions that `BurrCallback` was given.

    Raises:
        ArgumentError: If they are no mapping from names to Burr conditions.
    """
    fits = isinstance(shadow, Mapping) and all(
        isinstance(name, str) and name and isinstance(condition, Condition)
        for name, condition in shadow.items()
    )
    if not fits:
        raise ArgumentError(
            f"BurrCallback(shadow={shadow!r}): it must be a dict from names to Burr conditions, as "
            f"{{'patient': plateau('val_loss', 10)}}."
        )
    assert isinstance(shadow, Mapping)
    return dict(shadow)


def would_stop(shadow: Shadows, state: State[Any], epoch: int) -> dict[str, Any]:
    """What the conditions that are true for the first time add to the state.

    Args:
        shadow: The conditions.
        state: The state after a check; what it knows of them already is not asked again.
        epoch: The epoch of the check.
    """
    found: dict[str, Any] = {}
    for name, condition in shadow.items():
        known = state["shadow"].get(name)
        if known is not None and known["epoch"] is None and (reason := _reason(name, condition, state)):
            found[name] = {"condition": condition.name, "epoch": epoch, "reason": reason}
    return found


def _reason(name: str, condition: Condition, state: State[Any]) -> str | None:
    """Why a condition would stop the run now; a condition that fails would not, and is told of."""
    try:
        explained = explain(CAN_STOP & condition, state)
    except Exception as error:
        log.warning("BurrCallback(shadow=...): %r could not be asked: %s", name, error)
        return None
    return (explained.reason or condition.name) if explained.holds else None


def as_configured_now(
    shadow: Shadows,
    state: State[Any],
    can_stop: Callable[[int, int], bool],
    known: Mapping[str, Any],
) -> dict[str, Any]:
    """What is known of today's shadow conditions: those that are new are replayed over the history.

    Args:
        shadow: Today's conditions.
        state: A state, under the monitored metric of today.
        can_stop: Whether today's ``min_epochs`` and ``min_steps`` are met, by epochs and steps.
        known: What was found of conditions before, by name.
    """
    recording = state["history"].recording(monitor=state["monitor"])
    return {
        name: known[name]
        if name in known and known[name]["condition"] == condition.name
        else _replayed(name, condition, recording, can_stop)
        for name, condition in shadow.items()
    }


def _replayed(
    name: str, condition: Condition, recording: Recording, can_stop: Callable[[int, int], bool]
) -> dict[str, Any]:
    entry: dict[str, Any] = {"condition": condition.name, "epoch": None, "reason": None}
    try:
        true = np.flatnonzero(truths(condition, recording) == TRUE)
        check = next((int(at) for at in true if _could_stop(recording, int(at), can_stop)), None)
        if check is not None:
            reason = reason_at(condition, recording, check) or condition.name
            entry |= {"epoch": int(recording.epochs[check]), "reason": reason}
    except Exception as error:
        log.warning("BurrCallback(shadow=...): %r could not be replayed: %s", name, error)
    return entry


def _could_stop(recording: Recording, check: int, can_stop: Callable[[int, int], bool]) -> bool:
    assert recording.steps is not None
    return can_stop(int(recording.finished_epochs[check]), int(recording.steps[check]))


def tell_of_unknown_metrics(shadow: Shadows, state: State[Any]) -> None:
    """Warn of shadow conditions on metrics that nothing logs, once everything has had its turn."""
    history: MetricHistory = state["history"]
    for name, condition in shadow.items():
        unknown = sorted(metrics_of(condition) - set(history.names))
        if unknown:
            log.warning(
                "BurrCallback(shadow=...): %r needs the metric %s, and nothing logged it, so it would never "
                "stop the run. Metrics logged so far: %s.",
                name,
                ", ".join(map(repr, unknown)),
                ", ".join(sorted(history.names)) or "none",
            )


def in_words(entry: Mapping[str, Any]) -> str:
    """What is known of one shadow condition.

    Example:
        >>> in_words({"condition": "plateau(loss, patience=9)", "epoch": None, "reason": None})
        'would not have stopped it: plateau(loss, patience=9)'
    """
    if entry["epoch"] is None:
        return f"would not have stopped it: {entry['condition']}"
    return f"would have stopped it after epoch {entry['epoch']}: {entry['reason']}"
