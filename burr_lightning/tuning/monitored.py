"""A monitor that nothing logs is a mistake in the call of the study, and its first trial shows it."""

from __future__ import annotations

from typing import Any

from burr.core import State

from ..errors import UnknownMonitorError
from .scores import Scores
from .settings import StudySettings


def refuse_unknown_monitor(settings: StudySettings, state: State[Any]) -> None:
    """See that what a trial came to, and is to be recorded, does not say that all others train for nothing.

    Args:
        settings: What the user configured.
        state: The study's state.

    Raises:
        UnknownMonitorError: If it has trained without the study's monitor, and no trial has ever logged
            that, nor has a value.
    """
    outcome, monitor = state["outcome"], settings.monitor
    if outcome is None or outcome["logged"] is None or monitor is None or state["interrupted"] is not None:
        return
    if any(trial.values is not None for trial in state["ledger"]):
        return
    if any("value" in fact for fact in Scores(settings.folder.scores).newer()):
        return  # one that runs has logged it
    raise UnknownMonitorError(settings.study_id, monitor, outcome["logged"], outcome["trial"])
