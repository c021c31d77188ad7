"""The trials that run: handed to an executor, and waited for one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any

from burr.core import State

from ..errors import ExecutorBrokenError, ExecutorClosedError, ProcessNotStartedError
from .ledger import Ledger
from .outcomes import Outcome
from .study_actions import free_worker
from .trial_record import TrialRecord
from .worker import TrialTask, run_trial

_LOOKS_AGAIN = 0.5
"""Seconds after which it is looked again whether an outcome still waits for other trials."""


@dataclass(frozen=True)
class Job:
    """A trial that an executor has."""

    future: Future[Outcome]
    attempt: int
    """The how manieth time it was begun."""
    began: float
    """Seconds since 1970."""


class Jobs:
    """Runs the trials of one study.

    Args:
        executor: What runs them: any of ``concurrent.futures``. One that has ``stop`` can end what runs, one
            that has ``kill`` can do so at once, and one that has ``place`` knows where it runs.
        task: Makes of a trial, and of the step that launches it, what its worker is given.
        waits: Whether an outcome is told only after those of the trials that ran beside it.
    """

    def __init__(
        self,
        executor: Executor,
        task: Callable[[TrialRecord, int], TrialTask],
        waits: Callable[[Outcome], bool] = lambda outcome: False,
    ) -> None:
        self._executor, self._task, self._waits = executor, task, waits
        self._held: dict[int, tuple[Outcome, Set[int]]] = {}
        """The outcomes that wait, and which trials ran beside each."""
        self._done: SimpleQueue[int] = SimpleQueue()
        self.running: dict[int, Job] = {}
        self._stopped, self._study_id = False, ""

    def launch(self, ledger: Ledger, trial: int, sequence_id: int) -> float:
        """Begin with a trial, or go on with it.

        Returns:
            When it was begun, in seconds since 1970: before the executor has it, which may run it at once.
        """
        task, began = self._task(ledger[trial], sequence_id), time.time()
        future = self._submitted(task)
        self.running[trial] = Job(future, task.attempt, began)
        future.add_done_callback(lambda _: self._done.put(trial))
        return began

    def _submitted(self, task: TrialTask) -> Future[Outcome]:
        try:
            self._study_id = task.study_id
            return self._executor.submit(run_trial, task)
        except BrokenExecutor as error:
            raise self._broken(error) from error
        except RuntimeError as error:  # `concurrent.futures` has no class for it, but words
            if "cannot schedule new futures after" not in str(error):
                raise
            raise ExecutorClosedError(task.study_id, self._executor) from error

    def next(self) -> Outcome:
        """Wait until one of them is done; it is kept until it is `recorded`.

        Returns:
            How it went. What its worker raises is no failure of the objective, whose errors are told as
            outcomes: the worker is gone.

        Raises:
            ProcessNotStartedError: If its process could not begin, as none of the others can.
        """
        while (held := self._no_longer_held()) is None:
            try:
                trial = self._done.get(timeout=_LOOKS_AGAIN if self._held else None)
            except Empty:
                continue
            if trial not in self.running or trial in self._held:
                continue  # it was told of before
            future = self.running[trial].future
            error = _raised(future)
            if isinstance(error, BrokenExecutor) and not self._stopped:
                raise self._broken(error) from error
            outcome = self._outcome(trial, future, error)
            if self._stopped or not self._waits(outcome):
                return outcome
            self._held[trial] = outcome, self.running.keys() - self._held.keys() - {trial}
        return held

    def _no_longer_held(self) -> Outcome | None:
        """The first outcome that has waited, and waits no more."""
        run = self.running.keys() - self._held.keys()
        for trial, (outcome, beside) in self._held.items():
            if not (beside & run and self._waits(outcome)):
                del self._held[trial]
                return outcome
        return None

    def recorded(self, trial: int) -> None:
        """How a trial went is in the ledger."""
        self.running.pop(trial, None)

    def stop(self) -> None:
        """End those that run, and return when all are done; those whose worker has not begun are left out."""
        self._stopped = True
        self._held.clear()  # they are told with the others
        futures = [job.future for job in self.running.values()]
        for future in futures:
            future.cancel()
        end = getattr(self._executor, "stop", None)
        if end is not None:
            end()
        wait(futures)
        for trial in self.running:  # a signal may have come after one was taken, and before it was told
            self._done.put(trial)

    def kill(self) -> None:
        """Leave those alone that still run, or end them at once where the executor can; wait for none."""
        end = getattr(self._executor, "kill", None)
        if end is not None:
            end()

    def known_to(self, state: State[Any]) -> State[Any]:
        """A state that knows of all that run, and that waits for no other ones.

        A signal may have come between what was done and the step of the machine that writes it down.
        """
        ledger = state["ledger"]
        for trial, job in list(self.running.items()):
            if ledger[trial].attempts < job.attempt:
                ledger = ledger.launched(trial, at=job.began, worker=free_worker(ledger))
            elif ledger[trial].status != "running":
                self.recorded(trial)
        return state.update(ledger=ledger)

    def _broken(self, error: BrokenExecutor) -> ExecutorBrokenError:
        lost = [trial for trial, job in self.running.items() if not _has_ended(job.future)]
        return ExecutorBrokenError(self._study_id, type(self._executor).__name__, lost, str(error))

    def _outcome(self, trial: int, future: Future[Outcome], error: BaseException | None) -> Outcome:
        where = getattr(self._executor, "place", None)
        place = where(future) if where is not None else None
        if isinstance(error, ProcessNotStartedError):
            raise error
        if error is not None:
            outcome = Outcome(trial, "died", time.time(), reason=f"{type(error).__name__}: {error}")
        else:
            outcome = future.result()
        return outcome if place is None else replace(outcome, place=str(place))


def _raised(future: Future[Outcome]) -> BaseException | None:
    """What a worker raised, be it an exit or Ctrl-C: raised here, they would be the study's own."""
    try:
        return future.exception()
    except CancelledError as error:
        return error


def _has_ended(future: Future[Outcome]) -> bool:
    return future.done() and _raised(future) is None
