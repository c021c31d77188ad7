"""A study that runs: its machine is stepped, and every trial is written down before and after it."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from typing import Any

from burr.core import Application, ApplicationBuilder, State
from burr.core.application import PRIOR_STEP

from ..errors import ExecutorBrokenError, NoTrialFinishedError
from . import telling
from .interrupting import in_words, sigterm_raises
from .jobs import Jobs
from .kept import forget, forget_those_over
from .machine import study_machine, wants_more
from .reasons import Reasons
from .rows import StudyRow, StudyRows
from .settings import StudySettings
from .tracking import local_tracker
from .trial import TrialTask
from .trial_record import OVER, TrialRecord
from .trial_scores import TrialScores

_WAITS = "wait"
"""The action after which no row is written: what it brings is recorded next."""


class RunningStudy:
    """A study that runs in this process.

    Args:
        settings: What the user configured.
        rows: Its rows.
    """

    def __init__(self, settings: StudySettings, rows: StudyRows) -> None:
        self._settings, self._rows = settings, rows
        self._scores = TrialScores(settings)
        stored = rows.newest()
        self.state: State[Any] = settings.first_state() if stored is None else _standing(settings, stored)
        self._sequence_id = stored.sequence_id if stored is not None else None
        self._committed = self.state["ledger"].events

    def run(self) -> None:
        """Step it until it has ended.

        Raises:
            NoTrialFinishedError: If all of its trials have failed.
        """
        if self.state.get(PRIOR_STEP) != "best_model":
            self._go_on()
        ledger = self.state["ledger"]
        if len(ledger) and all(trial.status == "failed" for trial in ledger):
            reason = ledger.trials[-1].reason or ""
            raise NoTrialFinishedError(self._settings.study_id, len(ledger), reason)

    def _go_on(self) -> None:
        self._scores.make_up_for_what_is_lost(self.state["ledger"])
        forget_those_over(self._settings.folder.path, dict(enumerate(self.state["ledger"])))
        executor = self._settings.executor or _processes(self._settings.parallel)
        jobs = Jobs(executor, self._task)
        app = self._application(jobs)
        try:
            with sigterm_raises():
                self._run(app, jobs)
        finally:
            if self._settings.executor is None:
                executor.shutdown(cancel_futures=True)

    def _run(self, app: Application[Any], jobs: Jobs) -> None:
        try:
            while self._step(app):
                pass
        except (KeyboardInterrupt, SystemExit) as error:
            why = in_words(error)
            telling.interrupted(self._settings.study_id, why, len(jobs.running))
            self._end(app, jobs, why)
            raise
        except ExecutorBrokenError:
            self._end(app, jobs, "a broken executor")
            raise
        except BaseException:
            jobs.stop()
            raise

    def _end(self, app: Application[Any], jobs: Jobs, why: str) -> None:
        """End those that run, and write down what becomes of them."""
        jobs.stop()
        app.update_state(app.state.update(interrupted=why))
        while (jobs.running or app.state["outcome"] is not None) and self._step(app):
            pass
        if app.state["ledger"].events > self._committed:
            self._commit(app)

    def _step(self, app: Application[Any]) -> bool:
        told = app.state["outcome"]
        done = app.step(inputs={"sequence_id": _next_step(app)})
        if done is None:
            return False
        action, _, self.state = done
        if action.name != _WAITS:
            self._commit(app)
        if action.name == "record":
            trial = self.state["ledger"][self.state["trial"]]
            if told["status"] in OVER or trial.status in OVER:
                forget(self._settings.folder.path, trial)
            self._scores.ended(trial)
            telling.tell(self._settings.study_id, trial, self.state)
        return True

    def _commit(self, app: Application[Any]) -> None:
        self._rows.save(_next_step(app) - 1, str(app.state[PRIOR_STEP]), app.state)
        self._committed = app.state["ledger"].events

    def _application(self, jobs: Jobs) -> Application[Any]:
        began = time.monotonic() - self.state["seconds"]
        settings = self._settings
        graph = study_machine(
            settings.decisions(self.state["seed"]),
            jobs,
            study_id=settings.study_id,
            attempts=settings.attempts,
            stop_when=settings.stop_when,
            clock=lambda: time.monotonic() - began,
            in_short=Reasons(settings.folder.failures).in_short,
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
            tracker = local_tracker(settings.folder, self._sequence_id)
            builder = builder.with_tracker(tracker)  # type: ignore[arg-type]
        return builder.build()

    def _task(self, trial: TrialRecord, sequence_id: int) -> TrialTask:
        parent = None if trial.parent is None else self.state["ledger"][trial.parent]
        return self._settings.task(trial, sequence_id, parent)


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
