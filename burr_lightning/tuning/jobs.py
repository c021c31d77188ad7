"""The trials that run: handed to an executor, and waited for one by one."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import replace
from queue import SimpleQueue

from ..errors import ExecutorBrokenError, ProcessNotStartedError
from .ledger import Ledger
from .outcomes import Outcome
from .trial_record import TrialRecord
from .worker import TrialTask, run_trial


class Jobs:
    """Runs the trials of one study.

    Args:
        executor: What runs them: any of ``concurrent.futures``. One that has ``stop`` can end what runs, and
            one that has ``place`` knows where it runs.
        task: Makes of a trial, and of the step that launches it, what its worker is given.
    """

    def __init__(self, executor: Executor, task: Callable[[TrialRecord, int], TrialTask]) -> None:
        self._executor, self._task = executor, task
        self._done: SimpleQueue[int] = SimpleQueue()
        self.running: dict[int, Future[Outcome]] = {}
        self._stopped, self._study_id = False, ""

    def launch(self, ledger: Ledger, trial: int, sequence_id: int) -> None:
        """Begin with a trial, or go on with it."""
        task = self._task(ledger[trial], sequence_id)
        try:
            future = self._executor.submit(run_trial, task)
        except BrokenExecutor as error:
            raise self._broken(task.study_id, error) from error
        self._study_id = task.study_id
        self.running[trial] = future
        future.add_done_callback(lambda _: self._done.put(trial))

    def next(self) -> Outcome:
        """Wait until one of them is done.

        Returns:
            How it went. What its worker raises is no failure of the objective, whose errors are told as
            outcomes: the worker is gone.

        Raises:
            ProcessNotStartedError: If its process could not begin, as none of the others can.
            ExecutorBrokenError: If the executor runs nothing any more; nobody knows which trial has died.
        """
        while (trial := self._done.get()) not in self.running:
            pass  # it was told of before
        error = _error_of(self.running[trial])
        if isinstance(error, BrokenExecutor) and not self._stopped:
            raise self._broken(self._study_id, error) from error
        outcome = self._outcome(trial, self.running[trial], error)
        del self.running[trial]
        return outcome

    def stop(self) -> None:
        """End those that run, and return when all are done; those whose worker has not begun are left out."""
        self._stopped = True
        for future in self.running.values():
            future.cancel()
        end = getattr(self._executor, "stop", None)
        if end is not None:
            end()
        wait(self.running.values())
        for trial in self.running:  # a signal may have come after one was taken, and before it was told
            self._done.put(trial)

    def _broken(self, study_id: str, error: BrokenExecutor) -> ExecutorBrokenError:
        lost = [trial for trial, future in self.running.items() if not _has_ended(future)]
        return ExecutorBrokenError(study_id, type(self._executor).__name__, lost, str(error))

    def _outcome(self, trial: int, future: Future[Outcome], error: BaseException | None) -> Outcome:
        where = getattr(self._executor, "place", None)
        place = where(future) if where is not None else None
        if isinstance(error, ProcessNotStartedError):
            raise error
        if error is None:
            outcome = future.result()
        else:
            outcome = Outcome(trial, "died", time.time(), reason=f"{type(error).__name__}: {error}")
        return outcome if place is None else replace(outcome, place=str(place))


def _error_of(future: Future[Outcome]) -> BaseException | None:
    """What a worker raised, also where that is a wish to end: that was the worker's own, not the study's."""
    try:
        return future.exception()
    except CancelledError as error:
        return error


def _has_ended(future: Future[Outcome]) -> bool:
    return future.done() and _error_of(future) is None
