"""The trials that run: handed to an executor, and waited for one by one."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, wait
from dataclasses import replace
from queue import SimpleQueue

from ..errors import ProcessNotStartedError
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

    def launch(self, ledger: Ledger, trial: int, sequence_id: int) -> None:
        """Begin with a trial, or go on with it."""
        future = self._executor.submit(run_trial, self._task(ledger[trial], sequence_id))
        self.running[trial] = future
        future.add_done_callback(lambda _: self._done.put(trial))

    def next(self) -> Outcome:
        """Wait until one of them is done.

        Returns:
            How it went. What its worker raises is no failure of the objective, whose errors are told as
            outcomes: the worker is gone.

        Raises:
            ProcessNotStartedError: If its process could not begin, as none of the others can.
        """
        while (trial := self._done.get()) not in self.running:
            pass  # it was told of before
        outcome = self._outcome(trial, self.running[trial])
        del self.running[trial]
        return outcome

    def stop(self) -> None:
        """End those that run, and return when all are done; those whose worker has not begun are left out."""
        for future in self.running.values():
            future.cancel()
        end = getattr(self._executor, "stop", None)
        if end is not None:
            end()
        wait(self.running.values())
        for trial in self.running:  # a signal may have come after one was taken, and before it was told
            self._done.put(trial)

    def _outcome(self, trial: int, future: Future[Outcome]) -> Outcome:
        where = getattr(self._executor, "place", None)
        place = where(future) if where is not None else None
        try:
            outcome = future.result()
        except ProcessNotStartedError:
            raise
        except (Exception, CancelledError, KeyboardInterrupt) as error:  # the last one is the worker's own
            outcome = Outcome(trial, "died", time.time(), reason=f"{type(error).__name__}: {error}")
        return outcome if place is None else replace(outcome, place=str(place))
