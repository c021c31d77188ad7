"""Limits on how long a run trains: epochs, optimizer steps, seconds."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
from burr.core import State

from ..recording import Recording
from .arguments import apart, check_count, checked_number, shown
from .base import StopCondition
from .columns import Columns
from .truths import Truths, known, unknown


def max_epochs(n: int) -> StopCondition:
    """True once ``n`` epochs are over.

    Args:
        n: How many, 1 or more. Epochs before a resume count.

    Returns:
        A Burr condition that reads ``epoch``.

    Raises:
        ValueError: If ``n`` is not a whole number of 1 or more.

    Example:
        >>> from burr.core import State
        >>> max_epochs(10).run(State({"epoch": 9}))
        {'PROCEED': True}
    """
    call = f"max_epochs({shown(n)})"
    check_count(call, "n", n, 1, "epochs")
    return _limit(
        call, "epoch", n, "epochs are over", lambda epoch: epoch + 1, lambda run: run.finished_epochs
    )


def max_steps(n: int) -> StopCondition:
    """True once ``n`` optimizer steps were taken, asked at the end of an epoch and after a validation.

    Lightning's own ``Trainer(max_steps=...)`` stops at the very step.

    Args:
        n: How many, 1 or more, as Lightning's ``global_step`` counts them: one for each step of each
            optimizer.

    Returns:
        A Burr condition that reads ``global_step``.

    Raises:
        ValueError: If ``n`` is not a whole number of 1 or more.

    Example:
        >>> from burr.core import State
        >>> max_steps(1000).run(State({"global_step": 640}))
        {'PROCEED': False}
    """
    call = f"max_steps({shown(n)})"
    check_count(call, "n", n, 1, "optimizer steps")
    return _limit(call, "global_step", n, "steps were taken", lambda step: step, lambda run: run.steps)


def max_time(time: float | timedelta | str) -> StopCondition:
    """True once a run has trained for some time, asked at the end of an epoch and after a validation.

    The time of every process counts that trained the run, up to its last commit; the time between
    them does not.

    Args:
        time: Seconds, more than 0, a ``timedelta``, or ``"DD:HH:MM:SS"`` as in Lightning's
            ``Trainer(max_time=...)``.

    Returns:
        A Burr condition that reads ``seconds``.

    Raises:
        ValueError: If it is none of these.

    Example:
        >>> from burr.core import State
        >>> max_time("00:01:30:00").run(State({"seconds": 5400.0}))
        {'PROCEED': True}
    """
    call = f"max_time({shown(time.total_seconds() if isinstance(time, timedelta) else time)})"
    seconds = _seconds(time, call)
    return _limit(call, "seconds", seconds, "s of training", lambda spent: spent, lambda run: run.seconds)


def _seconds(time: object, call: str) -> float:
    if isinstance(time, timedelta):
        time = time.total_seconds()
    if isinstance(time, str):
        parts = re.fullmatch(r"(\d+):(\d\d):(\d\d):(\d\d)", time)
        if parts is None:
            raise ValueError(f"{call}: a time in words is 'DD:HH:MM:SS', as '00:01:30:00' for 90 minutes.")
        days, hours, minutes, rest = map(int, parts.groups())
        try:
            time = timedelta(days=days, hours=hours, minutes=minutes, seconds=rest).total_seconds()
        except OverflowError as error:
            raise ValueError(f"{call}: a time is at most {timedelta.max.days} days.") from error
    return checked_number(call, "the time", time, at_least=math.ulp(0), rule="more than 0 seconds")


def _one(what: str) -> str:
    return what.replace("epochs are", "epoch is").replace("steps were", "step was")


def _limit(
    call: str,
    key: str,
    limit: float,
    what: str,
    spent: Callable[[Any], float],
    over: Callable[[Recording], Any],
) -> StopCondition:
    def check(state: State[Any]) -> tuple[bool | None, str]:
        if state[key] is None:
            return None, f"{key} was not recorded"
        value = spent(state[key])
        said = f"{value:.0f}" if isinstance(value, int) else apart(value, limit)[0]
        return value >= limit, f"{said} {_one(what) if value == 1 else what}"

    def truths(columns: Columns) -> Truths:
        values = over(columns.recording)
        if values is None:
            return unknown(len(columns.recording))
        return known(values >= limit, np.isnan(values))

    return StopCondition(call, [key], check, over=truths)
