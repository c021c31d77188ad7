"""Jobs that a worker does not start for a while, for not even their start could be written down."""

from __future__ import annotations

import math
import time

from .deciding import LONGEST_BACKOFF
from .queued import BACKOFF


class KeptOut:
    """The jobs that one worker keeps out; nobody else knows of it, for there is nowhere to write it.

    Args:
        for_good: Whether a job stays out as long as this worker lives.
    """

    def __init__(self, *, for_good: bool) -> None:
        self._for_good = for_good
        self._jobs: dict[str, tuple[int, float]] = {}

    def keep(self, job: str) -> float:
        """Keep a job out, each time for twice as long.

        Returns:
            For how many seconds.
        """
        times = self._jobs[job][0] + 1 if job in self._jobs else 1
        wait: float = min(BACKOFF * 2 ** min(times - 1, 60), LONGEST_BACKOFF)
        self._jobs[job] = times, math.inf if self._for_good else time.monotonic() + wait
        return wait

    def let_in(self, job: str) -> None:
        """It could be started."""
        self._jobs.pop(job, None)

    def wait(self, job: str) -> float:
        """Seconds until a job may be started, 0 where it may be now."""
        _, until = self._jobs.get(job, (0, 0.0))
        return max(until - time.monotonic(), 0.0)
