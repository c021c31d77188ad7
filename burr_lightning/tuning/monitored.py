"""A monitor that nothing logs is a mistake in the call of the study, and its first trials show it.

The user is told of it once: who runs the study again as it is knows of trials that do log it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from burr.core import State

from ..errors import UnknownMonitorError
from .scores import Scores
from .settings import StudySettings


class Monitored:
    """Knows whether any trial has logged what the study monitors.

    Args:
        settings: What the user configured.
    """

    def __init__(self, settings: StudySettings) -> None:
        self._settings = settings
        self._scores = Scores(settings.folder.scores)
        self._was_logged = False

    def is_unknown(self, state: State[Any], logged: Sequence[str] | None) -> bool:
        """Whether what a trial came to says that all others may train for nothing.

        Args:
            state: The study's state.
            logged: What the trial's run has logged where it has trained without the study's monitor.
        """
        monitor = self._settings.monitor
        if logged is None or monitor is None or state["unknown_monitor"] == monitor:
            return False
        if any(trial.values is not None for trial in state["ledger"]):
            return False
        self._was_logged = self._was_logged or any("value" in fact for fact in self._scores.newer())
        return not self._was_logged

    def refuse_unknown(self, state: State[Any]) -> None:
        """See that a trial that is to be recorded does not say so.

        Args:
            state: The study's state.

        Raises:
            UnknownMonitorError: If it has trained without the study's monitor, and no trial has ever logged
                that, nor has a value, and the user was not told yet.
        """
        outcome = state["outcome"]
        if outcome is None or state["interrupted"] is not None:
            return
        if self.is_unknown(state, outcome["logged"]):
            monitor = str(self._settings.monitor)
            raise UnknownMonitorError(self._settings.study_id, monitor, outcome["logged"], outcome["trial"])
