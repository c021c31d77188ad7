"""The trials that run: handed to an executor, and waited for one by one."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from queue import SimpleQueue

from .ledger import Ledger, TrialRecord
from .outcomes import Outcome
from .worker import TrialTask, run_trial


class Jobs:
    """Runs the trials of one study.

    Args:
        executor: What runs them: any of ``concurrent.futures``.
        task: Makes of a trial, and of the step that launches it, what its worker is given.
    """

    def __init__(self, executor: Executor, task: Callable[[TrialRecord, int], TrialTask]) -> None:
        self._executor, self._task = executor, task
        self._done: SimpleQueue[tuple[int, Future[Outcome]]] = SimpleQueue()
        self.running: dict[int, Future[Outcome]] = {}

    def launch(self, ledger: Ledger, trial: int, sequence_id: int) -> str | None:
        """Begin with a trial, or go on with it."""
        future = self._executor.submit(run_trial, self._task(ledger[trial], sequence_id))
        self.running[trial] = future
        future.add_done_callback(lambda done: self._done.put((trial, done)))
        return None

    def next(self) -> Outcome:
        """Wait until one of them is done.

        Returns:
            How it went. What its worker raises is no failure of the objective, whose errors are told as
            outcomes: the worker is gone.
        """
        trial, future = self._done.get()
        self.running.pop(trial, None)
        try:
            return future.result()
        except (Exception, CancelledError) as error:
            return Outcome(trial, "died", time.time(), reason=f"{type(error).__name__}: {error}")
