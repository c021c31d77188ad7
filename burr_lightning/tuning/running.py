"""A study that runs: its machine is stepped, and every trial is written down before and after it."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from typing import Any

from burr.core import Application, ApplicationBuilder, State
from burr.core.application import PRIOR_STEP
from burr.tracking import LocalTrackingClient

from .jobs import Jobs
from .ledger import OVER, TrialRecord
from .machine import study_machine, wants_more
from .rows import StudyRow, StudyRows
from .scores import Scores
from .settings import StudySettings
from .trial import TrialTask

_COMMITS = ("suggest", "record", "best_model")
"""The actions after which a row is written: before a trial is launched, and when one is over."""


class RunningStudy:
    """A study that runs in this process.

    Args:
        settings: What the user configured.
        rows: Its rows.
    """

    def __init__(self, settings: StudySettings, rows: StudyRows) -> None:
        self._settings, self._rows = settings, rows
        self._scores = Scores(settings.folder.scores)
        stored = rows.newest()
        self.state: State[Any] = settings.first_state() if stored is None else _standing(settings, stored)
        self._sequence_id = stored.sequence_id if stored is not None else None

    def run(self) -> None:
        """Step it until it has ended."""
        if self.state.get(PRIOR_STEP) == "best_model":
            return
        self._tell_all_again()
        executor = self._settings.executor or _processes(self._settings.parallel)
        began = time.monotonic() - self.state["seconds"]
        try:
            app = self._application(Jobs(executor, self._task), began)
            while (done := app.step(inputs={"sequence_id": _next_step(app)})) is not None:
                action, _, self.state = done
                if action.name in _COMMITS:
                    self._rows.save(_next_step(app) - 1, str(action.name), self.state)
                if action.name == "record":
                    self._tell(self.state["ledger"][self.state["trial"]])
        finally:
            if self._settings.executor is None:
                executor.shutdown(cancel_futures=True)

    def _application(self, jobs: Jobs, began: float) -> Application[Any]:
        settings = self._settings
        graph = study_machine(
            settings.decisions(self.state["seed"]),
            jobs,
            study_id=settings.study_id,
            attempts=settings.attempts,
            stop_when=settings.stop_when,
            clock=lambda: time.monotonic() - began,
        )
        project = settings.folder.project
        builder: ApplicationBuilder[Any] = (
            ApplicationBuilder()
            .with_graph(graph)
            .with_state(self.state)
            .with_entrypoint("suggest")
            .with_identifiers(app_id=settings.study_id, partition_key=project)
        )
        if self._sequence_id is not None:
            builder = builder.with_identifiers(sequence_id=self._sequence_id)
        if settings.tracker:
            tracker = LocalTrackingClient(project=project)
            builder = builder.with_tracker(tracker)  # type: ignore[arg-type]
        return builder.build()

    def _task(self, trial: TrialRecord, sequence_id: int) -> TrialTask:
        parent = None if trial.parent is None else self.state["ledger"][trial.parent]
        return self._settings.task(trial, sequence_id, parent)

    def _tell_all_again(self) -> None:
        """What the file of scores lacks of trials that are over: it is only made of what the ledger has."""
        told = {fact["trial"] for fact in self._scores.newer() if "status" in fact}
        for trial in self.state["ledger"]:
            if trial.number not in told:
                self._tell(trial)

    def _tell(self, trial: TrialRecord) -> None:
        if self._settings.pruner is not None and trial.status in OVER:
            values = [repr(value) for value in trial.values or []]
            self._scores.tell(trial.number, status=trial.status, values=values)


def _next_step(app: Application[Any]) -> int:
    return 0 if app.sequence_id is None else app.sequence_id + 1


def _standing(settings: StudySettings, stored: StudyRow) -> State[Any]:
    """Where a stored study stands under the settings of today."""
    state = settings.as_configured_now(stored.state)
    goes_on = wants_more(state) or state["ledger"].waiting
    if stored.position == "best_model" and not goes_on:
        return stored.state.update(**{PRIOR_STEP: "best_model"})
    return state.update(**{PRIOR_STEP: "record"})


def _processes(parallel: int) -> Executor:
    from .local import LocalProcesses

    return LocalProcesses(parallel)
