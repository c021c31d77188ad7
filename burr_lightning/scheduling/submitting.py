"""Putting a command into the queue, and taking it out."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from ..layout import LATEST, checked_run_id, new_run_id
from ..locks import holder
from .deciding import decide, seen
from .errors import (
    BackoffError,
    CommandNotFoundError,
    JobExistsError,
    JobNotFoundError,
    JobOverError,
    JobRunningError,
    NotExecutableError,
    told,
)
from .jobs import APART, Job, JobFolder, Over, Queue
from .lease import taken
from .queued import BACKOFF, RETRIES, Queued


def submit(
    command: Sequence[str],
    root: Path,
    *,
    run_id: str | None = None,
    retries: int = RETRIES,
    backoff: float = BACKOFF,
) -> JobFolder:
    """Put a command into the queue; a worker starts it, in the folder that this process is in.

    Args:
        command: The program and its arguments. The program is looked for now, so that a worker with another
            PATH starts the same.
        root: The folder that holds all runs.
        run_id: The run that it trains; ``None`` makes a new id.
        retries: How often it is started again after failures in a row that brought no new commit, 0 or more.
        backoff: Seconds before the first of these starts; it doubles each time.

    Raises:
        CommandNotFoundError: If there is no such program.
        NotExecutableError: If it is a file that nobody may start.
        BackoffError: If ``backoff`` is not finite, or less than 0.
        JobExistsError: If a job that is not over trains this run.
        RunIdError: If ``run_id`` cannot name a folder.
        QueueError: If the queue cannot be read or written.
    """
    if not (math.isfinite(backoff) and backoff >= 0):
        raise BackoffError(backoff)
    is_stored = run_id == LATEST and any(root.glob(f"*/{LATEST}/run.json"))
    wanted = checked_run_id(run_id, is_stored=is_stored) if run_id is not None else new_run_id()
    program = _program(command[0])
    queue = Queue(root)
    job = Job(wanted, (program, *command[1:]), os.getcwd(), wanted, (), time.time(), max(retries, 0), backoff)
    names = (wanted if number == 1 else f"{wanted}{APART}{number}" for number in count(1))
    with told(root), queue.alone():
        if run_id is not None:
            _refuse_a_second(queue, wanted)
        return next(made for name in names if (made := queue.make(replace(job, id=name))) is not None)


def cancel(wanted: str, root: Path) -> JobFolder:
    """Take a job out of the queue, or keep a run that was started by hand from being gone on with.

    Args:
        wanted: The job's or the run's id, or a beginning of it that no other has.
        root: The folder that holds all runs.

    Raises:
        JobNotFoundError: If no job, or more than one, is meant.
        JobOverError: If it is over already.
        JobRunningError: If it has a process.
        QueueError: If the queue cannot be read or written.
    """
    with told(root):
        return _cancel(wanted, root)


def _cancel(wanted: str, root: Path) -> JobFolder:
    queued = Queued(root)
    queued.refresh()
    folder = _meant(queued, wanted)
    lease = taken(folder.lease)
    if lease is None:
        raise JobRunningError(folder.id, holder(folder.lease), "Stop it first: its worker, or the process.")
    with lease:
        facts = queued.facts(folder, ours=True)
        standing = decide(facts)
        if standing.state == "running":
            raise JobRunningError(folder.id, standing.reason, "Stop it first.")
        if standing.is_over:
            raise JobOverError(folder.id, standing.state)
        reason = f"it was taken out while {standing.state}"
        folder.end(Over("cancelled", reason, time.time(), seen(facts.runs)))
    return folder


def _meant(queued: Queued, wanted: str) -> JobFolder:
    try:
        return queued.queue.find(wanted)
    except JobNotFoundError:
        named = [run for run in queued.unfinished() if wanted in (run.folder.run_id, "/".join(run.key))]
        if len({run.key for runs in queued.adoptable(named) for run in runs}) > 1:
            keys = ["/".join(run.key) for run in named]
            raise JobNotFoundError(wanted, keys, str(queued.queue.root), several=True) from None
        for adopted in queued.adopt(among=named):
            return adopted
        raise


def _program(name: str) -> str:
    """Where a program is, as an absolute path; a link stays one, for a virtual environment is found by it."""
    found = shutil.which(name)
    if found is None and os.path.isfile(name):
        raise NotExecutableError(name)
    if found is None:
        raise CommandNotFoundError(name)
    return os.path.abspath(found)


def _refuse_a_second(queue: Queue, run_id: str) -> None:
    for folder in queue.folders():
        if folder.is_whole() and not folder.is_over() and folder.job().run_id == run_id:
            raise JobExistsError(run_id, folder.id)
