"""The study's side of the scores that trials see of each other."""

from __future__ import annotations

from ..errors import RunNotFoundError
from ..runs import Run
from .ledger import Ledger
from .scores import Scores
from .settings import StudySettings
from .trial_record import OVER, TrialRecord


class TrialScores:
    """Tells the trials of a study which of them are over, where there is a pruner that asks.

    Args:
        settings: What the user configured.
    """

    def __init__(self, settings: StudySettings) -> None:
        self._settings, self._scores = settings, Scores(settings.folder.scores)

    def ended(self, trial: TrialRecord) -> None:
        """A trial was recorded."""
        if self._settings.pruner is not None and trial.status in OVER:
            values = [repr(value) for value in trial.comparable or []]
            self._scores.tell(trial.number, status=trial.status, values=values)

    def see_to_another_monitor(self, ledger: Ledger) -> None:
        """Tell all anew where the monitor was another one: scores do not say which metric they are of."""
        folder, monitor = self._settings.folder, self._settings.monitor
        info = folder.info()  # that of before
        if info is None or info.monitor == monitor:
            return
        folder.scores.unlink(missing_ok=True)
        if monitor is not None:
            for trial in ledger:
                self._tell_history(trial)

    def make_up_for_what_is_lost(self, ledger: Ledger) -> None:
        """Tell what the file lacks: the newest end of a trial, or all, where it was lost."""
        if self._settings.pruner is None:
            return
        known = list(self._scores.newer())
        scored = {fact["trial"] for fact in known if "value" in fact}
        ended = {fact["trial"] for fact in known if "status" in fact}
        for trial in ledger:
            if trial.number not in scored:
                self._tell_history(trial)
            if trial.number not in ended:
                self.ended(trial)

    def _tell_history(self, trial: TrialRecord) -> None:
        folder, monitor = self._settings.folder, str(self._settings.monitor)
        persister = self._settings.persister
        try:
            run = Run.open(trial.run_id, folder.project, root_dir=folder.root, persister=persister)
        except RunNotFoundError:
            return  # it was never begun, or deleted since
        for row in run.history.to_dicts():
            if monitor in row:
                self._scores.tell(trial.number, epoch=row["epoch"], value=repr(row[monitor]))
