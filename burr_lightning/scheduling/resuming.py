"""Going on with one run, now, in this terminal."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..known_runs import known_runs, meant_runs, only_run
from ..layout import home
from ..locks import holder
from ..reviews import Reviews
from .attempts import Attempt
from .deciding import Facts, decide
from .errors import JobDamagedError, JobRunningError, NoLaunchError, UnansweredError, told
from .jobs import JobFolder
from .lease import taken
from .queued import Queued, has_launch
from .runs_of import KnownRun
from .watching import Watch
from .worker import settle


def resume(wanted: str, root: Path, project: str | None = None) -> Attempt:
    """Start what trains a run, wait for its end, and write both down; no worker starts it meanwhile.

    Args:
        wanted: The run's id, a beginning of it that no other run has, or ``latest``; or a job's id.
        root: The folder that holds all runs.
        project: The run's project; ``None`` looks through all of them.

    Raises:
        RunNotFoundError: If no run, or more than one, is meant.
        NoLaunchError: If it is not known how the run is started.
        UnansweredError: If it waits for an answer.
        JobRunningError: If it has a process.
        JobDamagedError: If what is to be done cannot be read.
        QueueError: If the queue cannot be read or written.
    """
    with told(root):
        return _resume(wanted, root, project)


def _resume(wanted: str, root: Path, project: str | None) -> Attempt:
    queued = Queued(root)
    queued.refresh()
    folder = _job(queued, wanted, root, project)
    lease = taken(folder.lease)
    if lease is None:
        raise JobRunningError(folder.id, holder(folder.lease), "Wait for it, or stop it.")
    with lease:
        queued.refresh()
        facts = queued.facts(folder, ours=True)
        _refuse(facts, queued, folder)
        attempt = Watch(folder, facts.progress, anew=True, by_hand=True).run()
        queued.refresh()
        facts = queued.facts(folder, ours=True)
        standing = decide(facts)
        if standing.is_over:
            settle(folder, standing, facts)
    return attempt


def review_command(run: KnownRun) -> str:
    """What answers a run's question, for a shell in this folder."""
    root = run.folder.root
    where = ["--root-dir", str(root)] if root != home(None) else []
    return shlex.join(
        ["burr-lightning", "review", run.folder.run_id, "--project", run.folder.project, *where]
    )


def _job(queued: Queued, wanted: str, root: Path, project: str | None) -> JobFolder:
    """The job that is meant; one is made for a run that has none."""
    folder = queued.queue.folder(wanted)
    if project is None and folder.id == wanted and (folder.path / "job.json").exists():
        return folder
    run = _run(wanted, root, project)
    job = run.job
    if job is not None and queued.queue.folder(job).path.exists():
        return queued.queue.folder(job)
    named = [folder for folder in queued.open() if run.key in {r.key for r in queued.runs_of(folder.job())}]
    if named:
        return named[0]
    if not has_launch(run.info):
        raise NoLaunchError(run.folder.run_id)
    if run.facts().status == "running":
        raise _is_trained(run)
    made = queued.make_job_for([run])
    assert made is not None
    return made


def _run(wanted: str, root: Path, project: str | None) -> KnownRun:
    known = known_runs(root, project)
    return KnownRun(*only_run(meant_runs(known, wanted), known, wanted, root))


def _refuse(facts: Facts, queued: Queued, folder: JobFolder) -> None:
    if facts.job.damaged is not None:
        raise JobDamagedError(folder.id, folder.path, facts.job.damaged)
    runs = queued.runs_of(facts.job)
    standing, answered = decide(facts), any(run.status == "paused" for run in facts.runs)
    for run, stands in zip(runs, facts.runs, strict=True):
        if stands.status == "running":
            raise _is_trained(run)
        if stands.status == "waiting" and not answered:
            raise _unanswered(run)
    if standing.state == "running":
        raise JobRunningError(facts.job.id, standing.reason, "Wait for it, or stop it.")


def _is_trained(run: KnownRun) -> JobRunningError:
    return JobRunningError(run.folder.run_id, holder(run.folder.lock), "Wait for it, or stop it.")


def _unanswered(run: KnownRun) -> UnansweredError:
    asked = Reviews(run.folder).newest()
    return UnansweredError(run.folder.run_id, asked.question.text if asked else "?", review_command(run))
