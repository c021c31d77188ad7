"""A study that runs: its machine is stepped, and every trial is written down before and after it."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from typing import Any

from burr.core import Application, ApplicationBuilder, State
from burr.core.application import PRIOR_STEP

from ..errors import ExecutorBrokenError, NoTrialFinishedError, UnknownMonitorError
from . import telling
from .interrupting import Signals, in_words
from .jobs import Jobs
from .kept import forget, forget_those_over
from .machine import is_done, study_machine
from .monitored import Monitored
from .outcomes import Outcome
from .reasons import Reasons
from .rows import StudyRow, StudyRows
from .settings import StudySettings
from .tracking import local_tracker, take_back_undone
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
        self._scores, self._monitored = TrialScores(settings), Monitored(settings)
        stored = rows.newest()
        if stored is None:
            settings.refuse_lost_rows()
            self.state: State[Any] = settings.first_state()
        else:
            self.state = _standing(settings, stored)
            self._scores.see_to_another_monitor(self.state["ledger"])
            settings.write_info()
        self._is_known = stored is not None
        self._sequence_id = stored.sequence_id if stored is not None else None
        self._newest_step = self._sequence_id
        self._newest_row = -1 if stored is None else stored.sequence_id
        self._signals = Signals()
        self._began: float = time.monotonic() - self.state["seconds"]

    def run(self) -> None:
        """Step it until it has ended.

        Raises:
            NoTrialFinishedError: If all of its trials have failed.
            UnknownMonitorError: If nothing logs its monitor.
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
        jobs = Jobs(executor, self._task, self._waits_for_others)
        app = self._application(jobs)
        try:
            with self._signals.heard():
                self._run(app, jobs)
        finally:
            if self._settings.executor is None:
                executor.shutdown(cancel_futures=True)

    def _run(self, app: Application[Any], jobs: Jobs) -> None:
        try:
            while self._step(app, jobs):
                self._signals.see_to_swallowed()
        except (KeyboardInterrupt, SystemExit) as error:
            cause = self._signals.cause(error)
            telling.interrupted(self._settings.study_id, in_words(cause), len(jobs.running))
            self._stop(app, jobs, in_words(cause))
            if cause is error:
                raise
            raise cause from error
        except ExecutorBrokenError:
            self._stop(app, jobs, "a broken executor")
            raise
        except UnknownMonitorError as error:
            why = f"its monitor {error.metric!r}, which trial {error.trial} has not logged"
            telling.interrupted(self._settings.study_id, why, len(jobs.running) - 1)
            app.update_state(app.state.update(unknown_monitor=error.metric))
            self._stop(app, jobs, why)
            raise
        except BaseException:
            jobs.stop()
            raise

    def _stop(self, app: Application[Any], jobs: Jobs, why: str) -> None:
        """Have the trials end that run, and write down how they stand, even if it is asked for again."""
        try:
            with self._signals.waits():
                jobs.stop()
                app.update_state(jobs.known_to(app.state).update(interrupted=why))
                while jobs.running and self._step(app, jobs):
                    pass
        except KeyboardInterrupt:
            telling.not_waited_for(self._settings.study_id, len(jobs.running))
            jobs.kill()
        finally:
            state = self._settings.set_back(jobs.known_to(app.state))
            app.update_state(state.update(interrupted=why, outcome=None, seconds=self._clock()))
            self.state = app.state
            if PRIOR_STEP in app.state:
                self._commit(app)
            if self._settings.tracker:
                take_back_undone(self._settings.folder, self._newest_step)

    def _step(self, app: Application[Any], jobs: Jobs) -> bool:
        told = app.state["outcome"]
        self._monitored.refuse_unknown(app.state)
        done = app.step(inputs={"sequence_id": _next_step(app)})
        if done is None:
            return False
        action, _, self.state = done
        self._newest_step = app.sequence_id
        if action.name == "record":
            jobs.recorded(self.state["trial"])
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
        """Write a row, of the newest step, or of a new number where an interrupted row may have that one."""
        number = max(_next_step(app) - 1, self._newest_row + 1)
        self._newest_row = number
        self._rows.save(number, str(app.state[PRIOR_STEP]), app.state)
        if not self._is_known:  # from now on there is something that can be lost
            self._settings.write_info()
            self._is_known = True

    def _application(self, jobs: Jobs) -> Application[Any]:
        settings = self._settings
        graph = study_machine(
            settings.decisions(self.state["seed"]),
            jobs,
            study_id=settings.study_id,
            attempts=settings.attempts,
            stop_when=settings.stop_when,
            clock=self._clock,
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

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _waits_for_others(self, outcome: Outcome) -> bool:
        """Whether an outcome ends the study, unless another trial that runs logs its monitor yet."""
        return self._monitored.is_unknown(self.state, outcome.logged)

    def _task(self, trial: TrialRecord, sequence_id: int) -> TrialTask:
        parent = None if trial.parent is None else self.state["ledger"][trial.parent]
        return self._settings.task(trial, sequence_id, parent)


def _next_step(app: Application[Any]) -> int:
    return 0 if app.sequence_id is None else app.sequence_id + 1


def _standing(settings: StudySettings, stored: StudyRow) -> State[Any]:
    """Where a stored study stands under the settings of today."""
    state = settings.as_configured_now(stored.state)
    same = state["stop_reason"] in (None, stored.state["stop_reason"])
    if stored.position == "best_model" and is_done(state) and same:
        return stored.state.update(**{PRIOR_STEP: "best_model"})
    return state.update(**{PRIOR_STEP: "record"})


def _processes(parallel: int) -> Executor:
    from .local import LocalProcesses

    return LocalProcesses(parallel)
