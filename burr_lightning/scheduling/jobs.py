"""The queue as it lies on the disk: a folder for each job, made in one step and never torn."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ..layout import flush, read_json, write_json
from .errors import JobNotFoundError

QUEUE = ".queue"
"""The folder beside the projects of a root; no project's name begins with a dot."""

OverState = Literal["done", "given up", "cancelled"]


@dataclass(frozen=True)
class Job:
    """A command that is to be started until its runs have ended."""

    id: str
    command: tuple[str, ...]
    """The program, as an absolute path, and its arguments."""
    folder: str
    """Where it is started."""
    run_id: str | None
    """What the command finds in ``BURR_LIGHTNING_RUN_ID``, ``None`` for nothing."""
    runs: tuple[tuple[str, str], ...]
    """Project and id of the runs that were there before the job was, and that it is to go on with."""
    submitted: float
    """Seconds since 1970."""
    retries: int
    """How often it is started again after failures in a row that brought no new commit."""
    backoff: float
    """Seconds before the first of these starts; it doubles each time."""

    @staticmethod
    def from_json(stored: dict[str, Any]) -> Job:
        """The job that `JobFolder.job` reads."""
        runs = tuple((project, run_id) for project, run_id in stored["runs"])
        return Job(**{**stored, "command": tuple(stored["command"]), "runs": runs})


@dataclass(frozen=True)
class Over:
    """Why nothing starts a job any more."""

    state: OverState
    reason: str
    at: float
    """Seconds since 1970."""


class JobFolder:
    """The files of one job.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.id = path, path.name
        self.lease, self.log = path / "lease", path / "log.txt"

    def job(self) -> Job:
        """What is to be done."""
        stored = read_json(self.path / "job.json")
        if stored is None:
            raise JobNotFoundError(self.id, [], str(self.path.parent))
        return Job.from_json(stored)

    def over(self) -> Over | None:
        """Why nothing starts it any more, ``None`` while something may."""
        stored = read_json(self.path / "over.json") if self.is_over() else None
        return Over(**stored) if stored else None

    def is_over(self) -> bool:
        """Whether it was written down that nothing starts it any more; one look at the disk."""
        return os.path.exists(f"{self.path}/over.json")

    def is_whole(self) -> bool:
        """Whether there is a job in it: somebody may have deleted it meanwhile."""
        return (self.path / "job.json").exists()

    def end(self, over: Over) -> None:
        """Write down that nothing is to start it any more. Only the holder of its lease does."""
        write_json(self.path / "over.json", asdict(over), lasting=True)

    def reopen(self) -> None:
        """It is to be started again after all. Only the holder of its lease does that."""
        (self.path / "over.json").unlink(missing_ok=True)


class Queue:
    """The jobs of one root.

    Args:
        root: The folder that holds all runs.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / QUEUE

    def folder(self, job: str) -> JobFolder:
        """The folder of a job, whether it is there or not."""
        return JobFolder(self.path / job)

    def folders(self) -> Iterator[JobFolder]:
        """All jobs, in no order; what is being made does not count."""
        try:
            names = os.listdir(self.path)
        except FileNotFoundError:
            return
        yield from (self.folder(name) for name in names if not name.startswith("."))

    def find(self, wanted: str) -> JobFolder:
        """A job by its id, or by a beginning of it that no other job has.

        Raises:
            JobNotFoundError: If no job, or more than one, is meant.
        """
        known = {folder.id: folder for folder in self.folders()}
        if wanted in known:
            return known[wanted]
        meant = [job for job in known if wanted and job.startswith(wanted)]
        if len(meant) != 1:
            raise JobNotFoundError(wanted, meant or known, str(self.path), several=bool(meant))
        return known[meant[0]]

    def make(self, job: Job) -> JobFolder | None:
        """Put a job into the queue: after this it is there as a whole, or not at all.

        Returns:
            Its folder; ``None`` where there is a job of this id.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        made = self.path / f".new-{secrets.token_hex(8)}"
        made.mkdir()
        write_json(made / "job.json", asdict(job), lasting=True)
        try:
            made.rename(self.path / job.id)  # fails where the folder is there, for none of them is empty
        except OSError:
            shutil.rmtree(made)
            if not (self.path / job.id).exists():
                raise
            return None
        flush(self.path)
        return self.folder(job.id)
