"""The queue as it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .attempts import Attempt
from .deciding import Facts, Standing, decide
from .errors import told
from .jobs import Job, JobFolder
from .queued import Queued


@dataclass(frozen=True)
class Listed:
    """A job, and how it stands."""

    id: str
    job: Job
    standing: Standing
    attempts: int
    last: Attempt | None
    """The newest attempt, ``None`` where it was not started yet."""
    log: Path


@dataclass(frozen=True)
class Listing:
    """Jobs, those that are over behind the others."""

    jobs: list[Listed]
    left_out: int
    """How many more are over."""
    left_alone: dict[tuple[str, str], str]
    """The runs that were started by hand and that no worker goes on with, and why."""


def listed(root: Path, *, over: int | None = None) -> Listing:
    """The jobs of a root: the open ones as they were put there, then those that are over, the newest first.

    Args:
        root: The folder that holds all runs.
        over: How many of those that are over; ``None`` for all.

    Raises:
        QueueError: If the queue cannot be read.
    """
    with told(root):
        return _listing(root, over)


def _listing(root: Path, over: int | None) -> Listing:
    queued = Queued(root)
    queued.refresh()
    open_ = {folder.id for folder in queued.open()}
    folders = [folder for folder in queued.queue.folders() if folder.is_whole()]
    ended = [folder for folder in folders if folder.id not in open_ and folder.is_over()]
    shown = sorted(ended, key=_ended, reverse=True)[:over]
    jobs = [_listed(folder, queued.facts(folder)) for folder in map(queued.queue.folder, open_)]
    jobs.sort(key=lambda job: (job.standing.is_over, job.job.submitted))
    jobs += [_listed(folder, queued.facts(folder)) for folder in shown]
    return Listing(jobs, len(ended) - len(shown), queued.left_alone())


def _ended(folder: JobFolder) -> float:
    over = folder.over()
    return over.at if over is not None else 0.0


def _listed(folder: JobFolder, facts: Facts) -> Listed:
    last = facts.attempts[-1] if facts.attempts else None
    return Listed(folder.id, facts.job, decide(facts), len(facts.attempts), last, folder.log)
