"""Putting a command into the queue, and taking it out."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from ..layout import checked_run_id, new_run_id
from .deciding import decide
from .errors import (
    CommandNotFoundError,
    JobExistsError,
    JobNotFoundError,
    JobOverError,
    JobRunningError,
)
from .jobs import Job, JobFolder, Over, Queue
from .lease import holder, taken
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
        JobExistsError: If a job that is not over trains this run.
        RunIdError: If ``run_id`` cannot name a folder.
    """
    wanted = checked_run_id(run_id) if run_id is not None else new_run_id()
    program = _program(command[0])
    queue = Queue(root)
    if run_id is not None:
        _refuse_a_second(Queued(root), wanted)
    job = Job(wanted, (program, *command[1:]), os.getcwd(), wanted, (), time.time(), max(retries, 0), backoff)
    names = (wanted if number == 1 else f"{wanted}-{number}" for number in count(1))
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
    """
    queued = Queued(root)
    queued.refresh()
    folder = _meant(queued, wanted)
    lease = taken(folder.lease)
    if lease is None:
        raise JobRunningError(folder.id, holder(folder.lease), "Stop it first: its worker, or the process.")
    with lease:
        standing = decide(queued.facts(folder, ours=True))
        if standing.state == "running":
            raise JobRunningError(folder.id, standing.reason, "Stop it first.")
        if standing.is_over:
            raise JobOverError(folder.id, standing.state)
        folder.end(Over("cancelled", f"it was taken out while {standing.state}", time.time()))
    return folder


def _meant(queued: Queued, wanted: str) -> JobFolder:
    try:
        return queued.queue.find(wanted)
    except JobNotFoundError:
        adopted = queued.adopt(among=[run for run in queued.unfinished() if run.folder.run_id == wanted])
        if len(adopted) != 1:
            raise
        return adopted[0]


def _program(name: str) -> str:
    """Where a program is, as an absolute path; a link stays one, for a virtual environment is found by it."""
    found = shutil.which(name)
    if found is None:
        raise CommandNotFoundError(name)
    return os.path.abspath(found)


def _refuse_a_second(queued: Queued, run_id: str) -> None:
    for folder in queued.queue.folders():
        if folder.is_over() or folder.job().run_id != run_id:
            continue
        raise JobExistsError(run_id, folder.id)
