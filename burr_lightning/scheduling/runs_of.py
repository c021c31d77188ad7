"""Which runs there are in a root, which job each belongs to, and how each stands, without reading rows.

A loop of a worker looks at every run again. One that has finished costs a look at two files' times, so that
thousands of them do not slow it down.
"""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BurrLightningError
from ..layout import Outcome, RunFolder, RunInfo, read_json, write_json
from ..locks import is_held
from ..reviews import Asked, Reviews
from .deciding import RunFacts
from .processes import has_lived_since

_COMMIT = re.compile(r"epoch=\d+-step=(\d+)-commit=(\d+)\D.*")
_HOLDER = re.compile(r"process (\d+) on (\S+), ")
_ASKED_TO_END = "SIGTERMException"
_STEPS = 10**12
"""More optimizer steps than any run takes: commits count first, and steps within one."""


@dataclass(frozen=True)
class KnownRun:
    """A run, and what its folder says of it."""

    folder: RunFolder
    info: RunInfo

    @property
    def key(self) -> tuple[str, str]:
        """Its project and its id."""
        return self.folder.project, self.folder.run_id

    @property
    def job(self) -> str | None:
        """The job that started it, or that was made to go on with it."""
        if self.info.job is not None:
            return self.info.job
        job = (read_json(self._adopted) or {}).get("job")
        return job if isinstance(job, str) else None

    def belongs_to(self, job: str) -> None:
        """Write down that a job is made to go on with it."""
        write_json(self._adopted, {"job": job})

    @property
    def _adopted(self) -> Path:
        return self.folder.path / "adopted.json"

    def facts(self) -> RunFacts:
        """How it stands."""
        folder = self.folder
        outcome = _outcome(folder)
        began = self._began()
        if is_held(folder.lock):
            return RunFacts(folder.run_id, "running", began=began)
        asked = Reviews(folder).newest()
        answer = self._answer(asked)
        if outcome is not None and outcome.status == "finished":
            return RunFacts(folder.run_id, "finished", answer, began)
        killed = outcome is None or (outcome.error or "").startswith(_ASKED_TO_END)
        if asked is None:
            return RunFacts(folder.run_id, _unasked(outcome), None, began, killed)
        if asked.answer is None and self._waits(outcome):
            return RunFacts(folder.run_id, "waiting", began=began)
        status = outcome.status if outcome is not None else "interrupted"
        return RunFacts(folder.run_id, status, answer, began, killed)

    def answer(self) -> str | None:
        """What tells the answer to its newest question from all others; ``None`` where there is none."""
        return self._answer(Reviews(self.folder).newest())

    def _answer(self, asked: Asked | None) -> str | None:
        if asked is None or asked.answer is None:
            return None
        given = asked.answer
        return f"{'/'.join(self.key)} {asked.question.number} {given.of} {given.answered!r}"

    def _began(self) -> str | None:
        changed = _changed(self.folder.lock)
        return f"{'/'.join(self.key)} began {changed!r}" if changed is not None else None

    def _waits(self, outcome: Outcome | None) -> bool:
        """Whether the newest question still stands. Only where the run did not end with it, its rows tell."""
        if outcome is not None and outcome.status == "paused":
            return True
        from ..runs import Run

        folder = self.folder
        try:
            return Run.open(folder.run_id, folder.project, root_dir=folder.root).question is not None
        except BurrLightningError:  # its rows are out of reach: a process could not go on with it either
            return True

    def progress(self) -> int:
        """A number that grows with each commit, 0 before the first."""
        try:
            names = os.listdir(self.folder.checkpoints)
        except FileNotFoundError:
            return 0
        found = [match for name in names if (match := _COMMIT.fullmatch(name))]
        return max((int(match[2]) * _STEPS + int(match[1]) + 1 for match in found), default=0)

    def kept_from_adoption(self) -> str | None:
        """Why the process that trained it last may live still; ``None`` where it is gone for sure.

        Between two fits of a script a run has no process for a moment, and is not to be started by another.
        """
        try:
            match = _HOLDER.match(self.folder.lock.read_text(errors="replace"))
        except FileNotFoundError:
            match = None
        if match is None:
            return "it is not known which process trained it"
        if match[2] != socket.gethostname():
            return f"it ran on {match[2]}"
        if not has_lived_since(int(match[1]), _changed(self.folder.lock) or 0.0):
            return None
        return f"its process {match[1]} lives"


class RunIndex:
    """The runs of a root, looked at again and again.

    Args:
        root: The folder that holds all runs.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, tuple[float | None, KnownRun]] = {}
        self._finished: dict[Path, float | None] = {}

    def refresh(self) -> None:
        """Look which runs there are now."""
        seen: dict[Path, tuple[float | None, KnownRun]] = {}
        for path in _run_folders(self._root):
            changed = _changed(path / "run.json")
            before = self._known.get(path)
            if before is not None and before[0] == changed:
                seen[path] = before
            elif changed is not None:
                folder = RunFolder(self._root, path.parent.name, path.name)
                info = _info(folder)
                if info is not None:
                    seen[path] = changed, KnownRun(folder, info)
        self._known = seen

    def all(self) -> list[KnownRun]:
        """All runs."""
        return [run for _, run in self._known.values()]

    def unfinished(self) -> list[KnownRun]:
        """Those that have not finished, when they were last seen."""
        return [run for run in self.all() if not self._has_finished(run)]

    def _has_finished(self, run: KnownRun) -> bool:
        path = run.folder.path
        changed = _changed(path / "outcome.json")
        if changed is None:
            return False
        if self._finished.get(path) == changed:
            return True
        outcome = _outcome(run.folder)
        if outcome is None or outcome.status != "finished":
            return False
        self._finished[path] = changed
        return True


def _run_folders(root: Path) -> list[Path]:
    projects = [project for project in _folders_in(root) if not project.name.startswith(".")]
    return [run for project in projects for run in _folders_in(project)]


def _folders_in(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _changed(path: Path) -> float | None:
    """When a file was written, in seconds since 1970; ``None`` where there is none."""
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return None


def _unasked(outcome: Outcome | None) -> Any:
    """How a run stands whose question is gone: one that ended to be answered will ask again."""
    return "interrupted" if outcome is None or outcome.status == "paused" else outcome.status


def _outcome(folder: RunFolder) -> Outcome | None:
    """How a run ended; where that is damaged, not in a way that has it started again without a human."""
    try:
        return folder.outcome()
    except (OSError, TypeError, ValueError) as error:
        return Outcome("interrupted", f"outcome.json is damaged: {error!r}")


def _info(folder: RunFolder) -> RunInfo | None:
    """What a run's folder says; ``None`` for a damaged one, which must not stop the others."""
    try:
        return folder.info()
    except (OSError, TypeError, ValueError):
        return None
