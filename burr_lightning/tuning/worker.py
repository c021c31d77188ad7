"""What a worker does with a trial."""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from dataclasses import replace
from typing import Any

from ..errors import ArgumentError, RunLockedError, UnknownMetricError
from .interrupting import is_interruption
from .kept import keep, kept
from .outcomes import Outcome
from .owning import owned
from .returned import values_of
from .trial import Trial, TrialTask

__all__ = ["TrialTask", "run_trial"]


def run_trial(task: TrialTask) -> Outcome:
    """Train one trial, and tell how it went.

    Args:
        task: The trial, its study, and the objective.
    """
    try:
        with owned(task):
            before = kept(task)
            if before is not None:
                return before
            outcome = replace(_tried(task), place=_here())
            keep(task, outcome)
            return outcome
    except RunLockedError as error:
        reason = (
            f"a process that began it before still runs it ({error.holder}), and is waited for; end that "
            f"process if it hangs"
        )
        return Outcome(task.number, "died", time.time(), reason=reason, place=_here(), waited=True)


def _tried(task: TrialTask) -> Outcome:
    trial = Trial(task)
    try:
        outcome = _outcome(trial, task.objective(trial))
    except SystemExit as error:
        if is_interruption(error) or trial.interrupted:
            raise
        reason = traceback.format_exc() + _EXITED.format(code=error.code)
        outcome = Outcome(task.number, "failed", time.time(), reason=reason)
    except Exception as error:
        outcome = _of_error(trial, error)
    if trial.interrupted:  # its training was cut: whatever the objective made of that
        return Outcome(task.number, "died", time.time(), reason="its training was interrupted")
    return outcome


_EXITED = (
    "The objective called sys.exit({code!r}), and that is a failed trial: the study goes on. Raise an "
    "exception that says what is wrong, or return the trial's value."
)


def _of_error(trial: Trial, error: Exception) -> Outcome:
    task = trial.task
    if isinstance(error, RunLockedError) and error.run_id == task.run_id:
        return Outcome(task.number, "died", time.time(), reason=str(error))
    if type(error).__name__ == "TrialPruned":
        return Outcome(task.number, "pruned", time.time(), reason=str(error) or "the objective pruned it")
    reason, logged = traceback.format_exc(), trial.refused_monitor
    return Outcome(task.number, "failed", time.time(), reason=reason, logged=logged)


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
    if trial.waits_for is not None:
        raise ArgumentError(
            f"The run {trial.run_id!r} waits for an answer to {trial.waits_for}, and a trial that waits has "
            f"no value. Leave out what asks a human, or give trial.callback(wait=...) a Block with a default."
        )
    logged = trial.logged_instead if returned is None else None
    if logged is not None:
        return _without_monitor(trial, logged)
    values, step = values_of(trial, returned)
    return Outcome(trial.number, "finished", time.time(), values, step)


def _without_monitor(trial: Trial, logged: list[str]) -> Outcome:
    """The study decides whether it is the trial that is wrong, or its own monitor."""
    task = trial.task
    call = f"Study({task.study_id!r}, monitor={task.monitor!r}), trial {task.number},"
    error = UnknownMetricError(str(task.monitor), logged, call)
    reason = f"{type(error).__name__}: {error} Or return the trial's value."
    return Outcome(trial.number, "failed", time.time(), reason=reason, logged=logged)
