"""A worker: starts what is ready, and waits."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .attempt import begun
from .attempts import Attempts
from .deciding import Facts, Standing, decide, seen
from .errors import JobNotFoundError, told
from .jobs import JobFolder, Over
from .keeping_out import KeptOut
from .lease import taken
from .queued import Queued
from .waking import Waking


@dataclass(frozen=True)
class Plan:
    """How a worker works."""

    jobs: int = 1
    """How many commands it runs at the same time, 1 or more."""
    every: float = 60.0
    """Seconds between two looks at the queue, while nothing happens."""
    once: bool = False
    """Whether it ends when nothing is ready any more."""
    adopts: bool = True
    """Whether it goes on with runs that were started by hand as well."""


@dataclass(frozen=True)
class Child:
    """What looks after a command that this worker has started."""

    folder: JobFolder
    process: subprocess.Popen[bytes]
    number: int
    """Of the attempt."""


class Worker:
    """Starts what is ready in a root.

    Args:
        root: The folder that holds all runs.
        plan: How.
        say: Is told what happens, a line each time.
    """

    def __init__(self, root: Path, plan: Plan, say: Callable[[str], None]) -> None:
        self._plan, self._say = plan, say
        self._root, self._queued = root, Queued(root)
        self._children: list[Child] = []
        self._kept_out = KeptOut(for_good=plan.once)
        self._damaged: set[str] = set()
        self._has_looked = False
        self._failed: set[str] = set()
        self._waking = Waking()

    def run(self) -> bool:
        """Work, until there is nothing to do or somebody asks for the end.

        Returns:
            Whether everything that it started ended well, or waits for an answer.

        Raises:
            QueueError: If the queue cannot be read or written.
        """
        with told(self._root), self._waking as waking:
            while not waking.asked:
                again = self._look()
                if self._plan.once and not self._children:
                    break
                waking.wait(self._pause(again))
            self._stop()
        return not self._failed

    def _pause(self, again: float | None) -> float:
        """Seconds until there may be something to do."""
        until = max(again - time.time(), 0.0) if again is not None else self._plan.every
        return min(until, self._plan.every)

    def _look(self) -> float | None:
        """See who ended, and start what is ready; a disk that is full for a while does not end a worker."""
        try:
            self._see_who_ended()
            again = self._start_what_is_ready()
        except OSError as error:
            if self._plan.once or not self._has_looked:
                raise
            self._say(f"the queue is out of reach, and is looked at again later: {error}")
            return None
        self._has_looked = True
        return again

    def _start_what_is_ready(self) -> float | None:
        """Start as many as there is room for.

        Returns:
            When the next one is to be started again, ``None`` where none is.
        """
        if self._is_full():
            return None
        self._queued.refresh()
        if self._plan.adopts:
            for folder in self._queued.adopt():
                self._say(f"{folder.id}: was started by hand, and is in the queue now")
        later: list[float] = []
        for folder, facts in self._in_order():
            standing = decide(facts)
            wait = self._kept_out.wait(folder.id)
            if not standing.is_due(time.time()):
                self._note(folder, standing, facts)
                later += [standing.at] if standing.at is not None else []
            elif wait:
                later.append(time.time() + wait)
            else:
                self._start(folder)
                if self._is_full():
                    return None
        return min(later, default=None)

    def _note(self, folder: JobFolder, standing: Standing, facts: Facts) -> None:
        """What is to be done about a job that is not to be started."""
        if self._is_to_be_written(standing, facts):  # another worker, that was killed, has begun it
            self._say_how(folder, self._settle(folder))
        elif standing.state == "damaged" and folder.id not in self._damaged:
            self._damaged.add(folder.id)
            self._say_how(folder, standing)

    def _is_full(self) -> bool:
        """Whether nothing more may be started."""
        return self._waking.asked > 0 or len(self._children) >= self._plan.jobs

    def _in_order(self) -> list[tuple[JobFolder, Facts]]:
        """The jobs that are not over, the oldest first."""
        mine = {child.folder.id for child in self._children}
        found = []
        for folder in self._queued.open():
            with suppress(JobNotFoundError):  # deleted meanwhile
                if folder.id not in mine:
                    found.append((folder, self._queued.facts(folder)))
        return sorted(found, key=lambda job: job[1].job.submitted)

    def _start(self, folder: JobFolder) -> None:
        try:
            self._start_if_ready(folder)
        except JobNotFoundError:  # deleted meanwhile
            pass
        except OSError as error:
            self._cannot(folder, f"it cannot be started: {error}")

    def _cannot(self, folder: JobFolder, why: str) -> None:
        """Keep a job out for a while whose attempt could not even be written down."""
        wait = self._kept_out.keep(folder.id)
        self._failed.add(folder.id)
        self._say(f"{folder.id}: {why}{'' if self._plan.once else f'; again in {wait:g} seconds'}")

    def _start_if_ready(self, folder: JobFolder) -> None:
        """Start a job, if it is ready still now that nobody else can start it."""
        lease = taken(folder.lease)
        if lease is None:
            return
        with lease:
            self._queued.refresh()
            facts = self._queued.facts(folder, ours=True)
            standing = decide(facts)
            if not standing.is_due(time.time()):
                return
            number = facts.attempts[-1].number + 1 if facts.attempts else 1
            anew = standing.state == "ready" or facts.over is not None
            process = begun(folder, lease, facts.progress, anew=anew)
        self._children.append(Child(folder, process, number))
        self._say(f"{folder.id}: attempt {number} begins: {standing.reason}")

    def _see_who_ended(self) -> None:
        ended = [child for child in self._children if child.process.poll() is not None]
        self._children = [child for child in self._children if child not in ended]
        if ended:
            self._queued.refresh()
        for child in ended:
            with suppress(JobNotFoundError):  # deleted meanwhile
                self._see_how(child)

    def _see_how(self, child: Child) -> None:
        folder = child.folder
        written = max((attempt.number for attempt in Attempts(folder).all()), default=0)
        if written < child.number and not self._waking.asked:
            ended = f"what looks after its command ended with {child.process.returncode} before it began"
            self._cannot(folder, f"{ended}; see {folder.log}")
            return
        self._kept_out.let_in(folder.id)
        standing = self._settle(folder)
        self._say_how(folder, standing)
        self._failed.discard(folder.id)
        if standing.state in ("retrying", "given up"):
            self._failed.add(folder.id)

    def _say_how(self, folder: JobFolder, standing: Standing) -> None:
        self._say(f"{folder.id}: {standing.state}: {standing.reason}")

    def _settle(self, folder: JobFolder) -> Standing:
        """Write down that a job is over, where it is; it costs no look any more then."""
        facts = self._queued.facts(folder)
        lease = taken(folder.lease) if self._is_to_be_written(decide(facts), facts) else None
        if lease is not None:
            with lease:
                facts = self._queued.facts(folder, ours=True)
                standing = decide(facts)
                if self._is_to_be_written(standing, facts):
                    settle(folder, standing, facts)
        return decide(facts)

    @staticmethod
    def _is_to_be_written(standing: Standing, facts: Facts) -> bool:
        return standing.is_over and facts.over is None

    def _stop(self) -> None:
        """Ask all that runs to end, and wait for it, unless we are asked a second time."""
        self._see_who_ended()
        for child in self._children:
            child.process.terminate()
        if self._children:
            self._say(f"asked {len(self._children)} to end, and wait for that; once more ends at once")
        while self._children and self._waking.asked < 2:
            self._waking.wait(None)
            self._see_who_ended()


def settle(folder: JobFolder, standing: Standing, facts: Facts) -> None:
    """Write down that a job is over; its lease must be held."""
    assert standing.state in ("done", "given up", "cancelled")
    folder.end(Over(standing.state, standing.reason, time.time(), seen(facts.runs)))
