"""What a trial came to: what its objective returned, or the monitored metric of its run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .segment_values import newest_value, see_that_it_trained
from .trial import Trial


def values_of(trial: Trial, returned: Any) -> tuple[list[float], int | None]:
    """The values of a trial, one for each direction, and the epoch of them where it is known.

    Args:
        trial: The trial, after its objective has returned.
        returned: What that was.

    Raises:
        ValueError: If there are not as many values as directions, or one is no number.
    """
    if trial.task.segment is not None:
        see_that_it_trained(trial)
        if returned is None:
            return newest_value(trial)
    wanted = len(trial.task.directions)
    if returned is None and wanted == 1:
        best = trial.best
        if best is None:
            raise ValueError(f"The objective returned nothing, and {_why_none(trial)}")
        return [best["value"]], best["epoch"]
    plain = _plain(returned)
    given = list(plain) if isinstance(plain, Sequence) and not isinstance(plain, (str, bytes)) else [plain]
    values = [_number(_plain(value), returned) for value in given]
    if len(values) != wanted:
        raise ValueError(
            f"The objective returned {len(values)} values, and the study has {wanted} directions."
        )
    return values, None


def _why_none(trial: Trial) -> str:
    """Why the run of a trial has no best value, and what to do."""
    history = trial._state("history")
    metric = trial.task.monitor or (trial._state("monitor") or {}).get("metric")
    if history is None or metric not in history:
        return (
            "trained no run of trial.callback() whose monitor was logged. Return the trial's value, or give "
            "the Trainer trial.callback() and the study a monitor."
        )
    epoch, value = history.latest(metric)
    return (
        f"{metric} is {value:g} after epoch {epoch}, and was no number before: the trial has diverged. A "
        f"pruner ends such a trial sooner; where it is to count, return a value of your own."
    )


def _plain(value: Any) -> Any:
    """What an array or a tensor holds; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def _number(value: Any, returned: Any) -> float:
    number = None
    if not isinstance(value, (bool, str, bytes, Mapping)):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = None
    if number is None or math.isnan(number):
        raise ValueError(
            f"The objective returned {returned!r}: a trial's value must be a number. Return one for each of "
            f"the study's directions, in their order."
        )
    return number
