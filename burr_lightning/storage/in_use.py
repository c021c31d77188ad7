"""Whether somebody needs a run: a process that trains it, or a job that starts it again."""

from __future__ import annotations

from ..errors import NotDeletedError
from ..layout import RunFolder
from ..locks import holder, is_held
from ..scheduling.deciding import Standing, decide
from ..scheduling.errors import told
from ..scheduling.queued import Queued


def refuse_in_use(folder: RunFolder) -> None:
    """See that nobody needs a run.

    Raises:
        NotDeletedError: If a process trains it, or a job of the queue is to start it.
        QueueError: If the queue cannot be read.
    """
    if is_held(folder.lock):
        raise trained(folder, holder(folder.lock))
    refuse_queued(folder)


def trained(folder: RunFolder, who: str) -> NotDeletedError:
    """The error about a run that is being trained."""
    return NotDeletedError(
        folder.run_id, f"it is being trained by {who or 'another process'}. Wait for it, or stop it."
    )


def refuse_queued(folder: RunFolder) -> None:
    """See that no job of the queue is to start a run.

    Raises:
        NotDeletedError: If one is.
        QueueError: If the queue cannot be read.
    """
    with told(folder.root):
        found = _job_of(folder)
    if found is None:
        return
    job, standing = found
    advice = (
        "Wait for it, or stop it."
        if standing.state == "running"
        else f"Take it out: burr-lightning cancel {job}"
    )
    raise NotDeletedError(
        folder.run_id, f"the job {job!r} of the queue is {standing.state} ({standing.reason}). {advice}"
    )


def _job_of(folder: RunFolder) -> tuple[str, Standing] | None:
    """The job that is to start a run, and how it stands."""
    queued = Queued(folder.root)
    jobs = [job for job in queued.queue.folders() if job.is_whole()]
    if not jobs:
        return None  # before all runs are read: it is asked for each run of a study
    queued.refresh()
    key = folder.project, folder.run_id
    for job in jobs:
        if key in (run.key for run in queued.runs_of(job.job())):
            standing = decide(queued.facts(job))
            if not standing.is_over:
                return job.id, standing
    return None
