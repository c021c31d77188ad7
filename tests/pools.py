"""Executors that a failed test does not wait for, and waiting for what they have not heard yet."""

import time
from concurrent.futures import Executor

from at_work import DEADLINE

from burr_lightning.tuning.local import LocalProcesses


class NotWaitedFor(Executor):
    """One whose calls, which may stand at a gate for ever, end with a test that failed."""

    def __exit__(self, kind, *raised):
        if kind is not None:
            getattr(self, "kill", self.stop)()
        return super().__exit__(kind, *raised)


class LocalPool(NotWaitedFor, LocalProcesses):
    pass


def by_and_by(condition):
    """Wait until something holds that comes about by itself, and give it."""
    deadline = time.monotonic() + DEADLINE
    while not (holds := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return holds


def placed(pool, future):
    """Where a call runs, which may have told something before that is known here."""
    by_and_by(future.running)
    return by_and_by(lambda: pool.place(future))
