"""The jobs of a root with the runs that they train: what is known of each, and runs that become jobs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..layout import FORK_VARIABLE, RUN_ID_VARIABLE, RunInfo
from ..locks import holder, is_held
from .attempts import Attempts
from .deciding import Facts, RunFacts
from .jobs import APART, Job, JobFolder, Queue
from .runs_of import KnownRun, RunIndex

RETRIES = 3
BACKOFF = 10.0
"""Seconds."""


class Queued:
    """The jobs of a root, and its runs.

    Args:
        root: The folder that holds all runs.
    """

    def __init__(self, root: Path) -> None:
        self.queue, self._index = Queue(root), RunIndex(root)
        self._of_job: dict[str, list[KnownRun]] = {}
        self._by_id: dict[str, list[KnownRun]] = {}
        self._by_key: dict[tuple[str, str], KnownRun] = {}

    def refresh(self) -> None:
        """Look which runs there are now."""
        self._index.refresh()
        self._of_job, self._by_id, self._by_key = defaultdict(list), defaultdict(list), {}
        for run in self._index.all():
            self._by_key[run.key] = run
            self._by_id[run.folder.run_id].append(run)
            if run.info.job is not None:
                self._of_job[run.info.job].append(run)

    def runs_of(self, job: Job) -> list[KnownRun]:
        """The runs that a job trains: those that it was made for, and those that say so."""
        found = {run.key: run for run in self._of_job.get(job.id, [])}
        named = [self._by_key[key] for key in job.runs if key in self._by_key]
        if job.run_id is not None and not job.runs:  # one that was made for runs has no others of that id
            named += self._by_id.get(job.run_id, [])
        return list({**found, **{run.key: run for run in named if self._is_free(run, job.id)}}.values())

    def _is_free(self, run: KnownRun, job: str) -> bool:
        """Whether a run is of no other job."""
        other = run.job
        return other is None or other == job or not self.queue.folder(other).path.exists()

    def facts(self, folder: JobFolder, *, ours: bool = False) -> Facts:
        """What is known of a job.

        Args:
            folder: The job.
            ours: Whether this process holds its lease.
        """
        job, over = folder.job(), folder.over()
        attempts = Attempts(folder)
        made = attempts.all()
        if not ours and is_held(folder.lease):
            return Facts(job, over, holder(folder.lease) or "another process", attempts=made)
        runs = self.runs_of(job)
        return Facts(
            job,
            over,
            alone=bool(made) and attempts.is_alone(made[-1]),
            attempts=made,
            runs=tuple(run.facts() for run in runs),
            progress=sum(run.progress() for run in runs),
        )

    def open(self) -> list[JobFolder]:
        """The jobs that are not over, and those that were until one of their runs was begun or answered."""
        again = {run.job for run in self.unfinished()}
        found = (folder for folder in self.queue.folders() if folder.id in again or not folder.is_over())
        return [folder for folder in found if folder.is_whole()]

    def unfinished(self) -> list[KnownRun]:
        """The runs that have not finished."""
        return self._index.unfinished()

    def adopt(self, among: Iterable[KnownRun] | None = None) -> list[JobFolder]:
        """Make jobs for runs that were started by hand and are to go on: answered, or interrupted.

        Args:
            among: The runs to look at; ``None`` is all of them.
        """
        if not self.adoptable(among):
            return []
        with self.queue.alone():  # somebody may queue one of them now
            made = [self.make_job_for(runs) for runs in self.adoptable(among)]
        return [folder for folder in made if folder is not None]

    def adoptable(self, among: Iterable[KnownRun] | None = None) -> list[list[KnownRun]]:
        """Those runs, with the ones that one process has started together."""
        together: dict[str, list[KnownRun]] = defaultdict(list)
        for run in self._without_a_job(among):
            if run.kept_from_adoption() is None:
                launch = run.info.launch or {}
                together[launch.get("process") or "/".join(run.key)].append(run)
        return list(together.values())

    def left_alone(self) -> dict[tuple[str, str], str]:
        """The runs that would go on if it were sure that their process is gone, and why it is not."""
        found = {run.key: run.kept_from_adoption() for run in self._without_a_job(None)}
        return {key: why for key, why in found.items() if why is not None}

    def _without_a_job(self, among: Iterable[KnownRun] | None) -> list[KnownRun]:
        """The runs that were started by hand, and are to go on although nobody starts them."""
        queued = {job.run_id for folder in self.open() if not (job := folder.job()).runs}
        runs = self.unfinished() if among is None else among
        return [run for run in runs if run.folder.run_id not in queued and self._is_to_go_on(run)]

    def _is_to_go_on(self, run: KnownRun) -> bool:
        return has_launch(run.info) and self._is_free(run, "") and is_to_go_on(run.facts())

    def make_job_for(self, runs: list[KnownRun]) -> JobFolder | None:
        """A job that starts again what started these runs."""
        first = min(runs, key=lambda run: run.info.created)
        launch: Mapping[str, Any] = first.info.launch or {}
        environment = launch.get("environment", {})
        run_id = environment.get(RUN_ID_VARIABLE)
        if run_id is None and len(self._started_with(first)) == 1:
            run_id = first.folder.run_id
        keys = tuple(sorted(run.key for run in runs))
        job = Job(
            first.folder.run_id,
            tuple(launch["command"]),
            launch["folder"],
            run_id,
            keys,
            time.time(),
            RETRIES,
            BACKOFF,
            fork=environment.get(FORK_VARIABLE),
        )
        for name in (job.id, f"{first.folder.project}{APART}{job.id}"):
            known = self.queue.folder(name)
            if known.path.exists() and not set(keys) & set(known.job().runs):
                continue  # the job of another run
            for run in runs:  # first, so that none is left without a job where a kill falls in between
                run.belongs_to(name)
            return self.queue.make(replace(job, id=name)) or known
        return None

    def _started_with(self, run: KnownRun) -> list[KnownRun]:
        """All runs that the process of this one has started."""
        process = (run.info.launch or {}).get("process")
        return [other for other in self._index.all() if (other.info.launch or {}).get("process") == process]


def has_launch(info: RunInfo) -> bool:
    """Whether it is known how a run is started."""
    launch = info.launch
    if not isinstance(launch, Mapping) or not isinstance(launch.get("folder"), str):
        return False
    command = launch.get("command")
    return isinstance(command, list) and bool(command) and all(isinstance(word, str) for word in command)


def is_to_go_on(facts: RunFacts) -> bool:
    """Whether a run that was started by hand waits for nothing but a process.

    One that failed does not, nor one that its user ended with Ctrl-C, nor one that ended with the script.
    """
    if facts.status == "paused":
        return facts.answer is not None
    return facts.status == "interrupted" and facts.killed
