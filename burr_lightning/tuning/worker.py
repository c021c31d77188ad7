"""What a worker does with a trial."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import RunLockedError
from .outcomes import Outcome
from .owning import owned
from .segment_values import newest_value, see_that_it_trained
from .trial import Trial, TrialTask

__all__ = ["TrialTask", "run_trial"]


def run_trial(task: TrialTask) -> Outcome:
    """Train one trial, and tell how it went.

    Args:
        task: The trial, its study, and the objective.
    """
    try:
        with owned(task):
            return replace(_tried(task), place=_here())
    except RunLockedError as error:
        reason = (
            f"a process that began it before still runs it ({error.holder}), and is waited for; end that "
            f"process if it hangs"
        )
        return Outcome(task.number, "died", time.time(), reason=reason, place=_here(), waited=True)


def _tried(task: TrialTask) -> Outcome:
    trial = Trial(task)
    try:
        returned = task.objective(trial)
        return _outcome(trial, returned)
    except Exception as error:
        if isinstance(error, RunLockedError) and error.run_id == task.run_id:
            return Outcome(task.number, "died", time.time(), reason=str(error))
        pruned = type(error).__name__ == "TrialPruned"
        if pruned:
            return Outcome(task.number, "pruned", time.time(), reason=str(error) or "the objective pruned it")
        return Outcome(task.number, "failed", time.time(), reason=traceback.format_exc())


def _here() -> str:
    """Where this is run, for an executor that does not tell."""
    thread = threading.current_thread()
    place = f"process {os.getpid()} on {socket.gethostname()}"
    return place if thread is threading.main_thread() else f"{thread.name} of {place}"


def _outcome(trial: Trial, returned: Any) -> Outcome:
    why = trial.pruned
    if why is not None:
        value, step = trial.newest_score
        return Outcome(trial.number, "pruned", time.time(), None if value is None else [value], step, why)
    values, step = _values(trial, returned)
    return Outcome(trial.number, "finished", time.time(), values, step)


def _values(trial: Trial, returned: Any) -> tuple[list[float], int | None]:
    if trial.task.segment is not None:
        see_that_it_trained(trial)
        if returned is None:
            return newest_value(trial)
    wanted = len(trial.task.directions)
    if returned is None and wanted == 1:
        best = trial.best
        if best is None:
            raise ValueError(
                "The objective returned nothing, and trained no run of trial.callback() whose monitor was "
                "logged. Return the trial's value, or give the Trainer trial.callback() and the study a "
                "monitor."
            )
        return [best["value"]], best["epoch"]
    given = list(returned) if isinstance(returned, Sequence) else [returned]
    values = [float(value) for value in given]
    if len(values) != wanted:
        raise ValueError(
            f"The objective returned {len(values)} values, and the study has {wanted} directions."
        )
    if any(math.isnan(value) for value in values):
        raise ValueError(f"The objective returned {returned!r}: a trial's value must be a number.")
    return values, None
