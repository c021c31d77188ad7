"""Where a run lives: the names it may have, and the folders and files that belong to it."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from .errors import HalfDeletedError, HalfDeletedStudyError, NameTakenError, RunIdError
from .json_types import is_moment, known, with_keys

HOME_VARIABLE = "BURR_LIGHTNING_HOME"
RUN_ID_VARIABLE = "BURR_LIGHTNING_RUN_ID"
FORK_VARIABLE = "BURR_LIGHTNING_FORK"
"""``parent:fork``: a script that names the run ``parent`` trains ``fork`` in its place."""
JOB_VARIABLE = "BURR_LIGHTNING_JOB"
"""Set in what the scheduler starts: the job of its queue."""
REPLAY_VARIABLE = "BURR_LIGHTNING_REPLAY"
"""Set in a process that trains one epoch of a run again: the folder that says which, and holds the copy."""
DEFAULT_HOME = "burr_runs"
DEFAULT_PROJECT = "lightning"
DATABASE = "state.sqlite"
STUDY_FILE = "study.json"
HALF_DELETED_STUDY_FILE = "deleted-study.json"
LATEST = "latest"
"""What the commands take for the newest run, whatever its name is."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,99}")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def new_run_id() -> str:
    """A run id that no other run has: the time to the second, and four random digits."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def chosen_run_id(run_id: str | None, runs: Path) -> str | None:
    """The run that is meant: what a script names, but for a fork of it, else the environment's.

    Args:
        run_id: What the script names.
        runs: The folder of the project's runs.

    Raises:
        RunIdError: If it cannot name a folder.
    """
    if run_id is None:
        run_id = os.environ.get(RUN_ID_VARIABLE)
    parent, _, fork = os.environ.get(FORK_VARIABLE, "").partition(":")
    if run_id is None:
        return None
    meant = fork if fork and run_id == parent else run_id
    return checked_run_id(meant, is_stored=meant == LATEST and (runs / LATEST / "run.json").exists())


def checked_run_id(run_id: str, call: str | None = None, *, is_stored: bool = False) -> str:
    """The run id itself, when it can name a folder and a row.

    Args:
        run_id: The run id.
        call: The call that it was given in, for the error; ``None`` is `BurrCallback`.
        is_stored: Whether there is such a run; only a new one must not be called `LATEST`.

    Raises:
        RunIdError: If it is empty, or has a path separator, ``..`` or another sign in it that is
            not a letter, a digit or one of ``. _ = + -``; if a new run is to be called ``latest``.
    """
    call = call or f"BurrCallback(run_id={run_id!r})"
    if run_id == LATEST and not is_stored:
        raise RunIdError(run_id, call, "to the commands, 'latest' is the newest run. Give another name.")
    if isinstance(run_id, str) and _RUN_ID.fullmatch(run_id) and ".." not in run_id:
        return run_id
    rule = (
        "a run id names a folder: 1 to 100 letters, digits and . _ = + - "
        "that begin with a letter or a digit, without '..' and without a path separator."
    )
    raise RunIdError(run_id, call, rule)


def checked_project(project: str) -> str:
    """The project itself, when Burr's tracker can name a folder after it.

    Raises:
        RunIdError: If it is empty or has a sign in it that is not a letter, a digit, ``_`` or ``-``.
    """
    if isinstance(project, str) and _PROJECT.fullmatch(project):
        return project
    rule = "a project names a folder: 1 to 100 letters, digits, _ and -, as Burr's tracker asks for."
    raise RunIdError(project, f"BurrCallback(project={project!r})", rule)


def home(root_dir: str | os.PathLike[str] | None) -> Path:
    """The folder that holds all runs: the argument, else the environment's, else ``./burr_runs``."""
    return Path(root_dir or os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().absolute()


_Launch = Annotated[
    dict[str, Any],
    with_keys({"command": list[str], "folder": str}, {"environment": dict[str, str], "process": str}),
]
_Parent = Annotated[
    dict[str, Any],
    with_keys({"run_id": str, "epoch": int, "sequence_id": int}, {"created": float | None}),
]
_Limits = Annotated[
    dict[str, Any],
    with_keys({}, dict.fromkeys(("max_epochs", "max_steps", "max_time"), float | None)),
]


@dataclass(frozen=True)
class RunInfo:
    """What a run's folder says about it, so that it can be opened from outside."""

    run_id: str
    project: str
    monitor: str | None
    tracker: str | None
    """The folder of Burr's tracker for this run, ``None`` where it is not tracked there."""
    created: Annotated[float, is_moment]
    """Seconds since 1970, UTC."""
    persister: str | None = None
    """What holds its rows: a URL without its password, or the kind of a persister that the user opened;
    ``None`` for SQLite beside the runs."""
    launch: _Launch | None = None
    """How it was started first: ``command``, ``folder`` and ``environment``; ``None`` where that is no
    command that could be run again."""
    job: str | None = None
    """The job of the queue that started it, ``None`` where none did."""
    parent: _Parent | None = None
    """What it was forked from: ``run_id``, ``epoch``, ``sequence_id``, and ``created`` of that run, which an
    older version left out; ``None`` for no fork. It has the parent's project."""
    limits: _Limits | None = None
    """Lightning's own limits of the process that trained it last: ``max_epochs``, ``max_steps`` and
    ``max_time`` in seconds, each ``None`` where there is none; ``None`` where an older version wrote it."""
    study: str | None = None
    """The study of the same project that it is a trial of, ``None`` for none."""
    copied_to: str | None = None
    """The URL of the copy of its checkpoints, without its password; ``None`` where there is none."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended the last time that it ran."""

    status: Literal["finished", "failed", "interrupted", "paused"]
    error: str | None = None
    """The exception that ended it, as Python prints it."""
    action: str | None = None
    """The action that was open then."""


class RunFolder:
    """The folder of one run.

    Args:
        root: The folder that holds all runs.
        project: The run's project.
        run_id: The run.
    """

    def __init__(self, root: Path, project: str, run_id: str) -> None:
        self.root, self.project, self.run_id = root, project, run_id
        self.path = root / project / run_id
        self.checkpoints = self.path / "checkpoints"
        self.lock = self.path / "lock"
        self.marker = self.path / "run.json"
        """What makes the folder a run, and says which; see `info`."""
        self.study_marker = self.path / STUDY_FILE
        """What makes the folder a study, and no run."""
        self.half_deleted_study = self.path / HALF_DELETED_STUDY_FILE
        """What ``study.json`` is called from the moment on that the study is deleted, until it is gone."""
        self.half_deleted = self.path / "deleted.json"
        """What ``run.json`` is called from the moment on that the run is deleted, until it is gone."""

    def create(self) -> None:
        """Make the folder, unless it is there.

        Raises:
            HalfDeletedError: If the run, or a study of that name, is deleted in part.
            NameTakenError: If a study has that name.
        """
        if self.study_marker.exists():
            raise NameTakenError(f"run_id={self.run_id!r}", self.run_id, "study", str(self.path.parent))
        if self.half_deleted.exists():
            raise HalfDeletedError(self.run_id, self.project, str(self.root))
        if self.half_deleted_study.exists():
            raise HalfDeletedStudyError(self.run_id, self.project, str(self.root))
        self.checkpoints.mkdir(parents=True, exist_ok=True)

    def write_info(self, info: RunInfo) -> None:
        """Write what the run is, replacing the file in one step."""
        write_json(self.marker, asdict(info))

    def info(self) -> RunInfo | None:
        """What was written of the run, ``None`` where there is no such run."""
        stored = read_json(self.marker)
        return known(RunInfo, stored) if stored else None

    def info_of_half_deleted(self) -> RunInfo | None:
        """What was written of a run that is deleted in part, ``None`` where there is none."""
        stored = read_json(self.half_deleted)
        return known(RunInfo, stored) if stored else None

    def begin_to_delete(self) -> None:
        """Be no run any more, in one step; what is left is known by a file of another name."""
        try:
            self.marker.rename(self.half_deleted)
        except FileNotFoundError:  # it has lost that
            self.half_deleted.touch()

    def do_not_delete(self) -> None:
        """Be a run again, or what `begin_to_delete` has found of one."""
        if self.half_deleted.stat().st_size:
            self.half_deleted.rename(self.marker)
        else:
            self.half_deleted.unlink()

    def write_outcome(self, outcome: Outcome) -> None:
        """Write how the run ended."""
        write_json(self.path / "outcome.json", asdict(outcome))

    def clear_outcome(self) -> None:
        """Forget how the run ended: it goes on."""
        (self.path / "outcome.json").unlink(missing_ok=True)

    def outcome(self) -> Outcome | None:
        """How the run ended; ``None`` while it goes on, and where it was killed."""
        stored = read_json(self.path / "outcome.json")
        return known(Outcome, stored) if stored else None


def run_folders(root: Path, project: str | None) -> list[RunFolder]:
    """The folders of all runs, or of those of one project.

    Raises:
        PermissionError: If the root cannot be read.
    """
    return _folders_with("run.json", root, project)


def study_run_folders(root: Path, project: str | None) -> list[RunFolder]:
    """The folders of all studies, or of those of one project; a study is named and kept as a run is."""
    return _folders_with(STUDY_FILE, root, project)


def half_deleted_study_folders(root: Path, project: str | None) -> list[RunFolder]:
    """The folders of studies that are deleted in part."""
    return _folders_with(HALF_DELETED_STUDY_FILE, root, project)


def half_deleted_folders(root: Path, project: str | None) -> list[RunFolder]:
    """The folders of runs that are deleted in part."""
    return _folders_with("deleted.json", root, project)


def _folders_with(name: str, root: Path, project: str | None) -> list[RunFolder]:
    found = sorted(p for folder in project_folders(root, project) for p in folder.glob(f"*/{name}"))
    return [RunFolder(root, p.parent.parent.name, p.parent.name) for p in found]


def project_folders(root: Path, project: str | None) -> list[Path]:
    """What there is in the folder of all runs that may be a project, or the one of that very name.

    Raises:
        PermissionError: If the root cannot be read.
    """
    names = os.listdir(root) if root.is_dir() else []  # to glob, one that cannot be read is an empty one
    return [root / name for name in names if not project or name == project]


def write_json(path: Path, content: dict[str, Any], *, lasting: bool = False) -> None:
    """Write a JSON file, replacing the one before in one step.

    Args:
        path: The file.
        content: What it is to hold.
        lasting: Whether it must be on the disk when this returns, should the machine lose its power.
    """
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk, should the machine lose its power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds, ``None`` where there is none, or a torn one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None
