"""The queue as it lies on the disk: a folder for each job, made in one step and never torn."""

from __future__ import annotations

import fcntl
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ..layout import flush, write_json
from .errors import JobNotFoundError

QUEUE = ".queue"
"""The folder beside the projects of a root; no project's name begins with a dot."""

APART = "~"
"""Stands in the id of a job beside the run's id where that alone is taken: no run's id has it."""

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
    damaged: str | None = None
    """What is wrong with its file: then the rest is made up, and nothing may start it."""
    fork: str | None = None
    """What the command finds in ``BURR_LIGHTNING_FORK``, ``None`` for nothing."""

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> Job:
        """The job that `Queue.make` wrote, here or in another version.

        Raises:
            KeyError, TypeError, ValueError: If it is none.
        """
        runs = tuple((str(project), str(run_id)) for project, run_id in stored["runs"])
        command = tuple(stored["command"])
        if not command or not all(isinstance(word, str) for word in command):
            raise ValueError("its command is none")
        if not all(math.isfinite(stored[name]) for name in ("submitted", "retries", "backoff")):
            raise ValueError("a number of it is not finite")
        return Job(**known(Job, {**stored, "command": command, "runs": runs, "damaged": None}))

    @staticmethod
    def unreadable(job: str, why: str) -> Job:
        """What stands for a job whose file cannot be read."""
        return Job(job, (), "", None, (), 0.0, 0, 0.0, damaged=why)


@dataclass(frozen=True)
class Over:
    """Why nothing starts a job any more."""

    state: OverState
    reason: str
    at: float
    """Seconds since 1970, for people: clocks are set back."""
    seen: tuple[str, ...] | None = None
    """The answers and the beginnings of its runs that there were then; ``None`` where they are not known."""


class JobFolder:
    """The files of one job.

    Args:
        path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.id = path, path.name
        self.lease, self.log = path / "lease", path / "log.txt"

    def job(self) -> Job:
        """What is to be done; where its file is damaged, a job that says so.

        Raises:
            JobNotFoundError: If it is not there.
        """
        try:
            return Job.from_json(stored_in(self.path / "job.json"))
        except FileNotFoundError:
            raise JobNotFoundError(self.id, [], str(self.path.parent)) from None
        except (OSError, KeyError, TypeError, ValueError) as error:
            return Job.unreadable(self.id, f"job.json: {error!r}")

    def over(self) -> Over | None:
        """Why nothing starts it any more, ``None`` while something may."""
        path = self.path / "over.json"
        if not self.is_over():
            return None
        try:
            stored = stored_in(path)
            seen = tuple(stored["seen"]) if stored.get("seen") is not None else None
            return Over(**known(Over, {**stored, "seen": seen}))
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError) as error:
            return Over("given up", f"over.json is damaged: {error!r}", os.stat(path).st_mtime)

    def is_over(self) -> bool:
        """Whether it was written down that nothing starts it any more; one look at the disk."""
        return os.path.exists(f"{self.path}/over.json")

    def is_whole(self) -> bool:
        """Whether there is a job in it: somebody may have deleted it meanwhile."""
        return os.path.exists(f"{self.path}/job.json")

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

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process that asks for this decides meanwhile which job a run gets."""
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def make(self, job: Job) -> JobFolder | None:
        """Put a job into the queue: after this it is there as a whole, or not at all.

        Returns:
            Its folder; ``None`` where there is a job of this id.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        made = self.path / f".new-{secrets.token_hex(8)}"
        made.mkdir(mode=0o700)  # there may be a password among the arguments
        stored = {name: value for name, value in asdict(job).items() if name != "damaged"}
        write_json(made / "job.json", stored, lasting=True)
        (made / "job.json").chmod(0o600)
        try:
            made.rename(self.path / job.id)  # fails where the folder is there, for none of them is empty
        except OSError:
            shutil.rmtree(made)
            if not (self.path / job.id).exists():
                raise
            return None
        flush(self.path)
        return self.folder(job.id)


def stored_in(path: Path) -> dict[str, Any]:
    """What a JSON file holds.

    Raises:
        OSError, ValueError: If it cannot be read, or is torn.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("it holds something else")
    return content


def known(kind: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows of what was stored, perhaps by a newer one."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in stored.items() if name in names}
