"""Checking the commits of a stored run: which are whole, and which one a resume would use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import UnreadableRowError
from ..rows import StateRows, StoredRow
from .files import sha256
from .run_files import RunFiles
from .stored import StoredCommits

Verdict = Literal["whole", "pruned", "missing", "damaged", "incomplete", "unreadable"]

_LOOKS = 5
"""How often it is asked what a resume would use, where a run that trains meanwhile has made a commit."""


@dataclass(frozen=True)
class CommitCheck:
    """What was found of one commit."""

    commit: int
    """The step of the machine that it was made after."""
    action: str | None
    """The action of that step, ``None`` where the row cannot be read."""
    epoch: int | None
    """The last finished epoch, -1 before the first; ``None`` where the row cannot be read."""
    checkpoint: str | None
    """The checkpoint that it names, relative to the run's folder; ``None`` before the first epoch's end."""
    verdict: Verdict
    """``whole``; ``pruned`` where the checkpoint was deleted, as retention does with older ones;
    ``missing`` where the newest one is gone; ``damaged`` where its SHA-256 is wrong; ``incomplete`` where
    the metric history before it is gone; ``unreadable`` where the row itself is."""
    detail: str | None = None
    """What is wrong, in words."""

    @property
    def sound(self) -> bool:
        """Whether it is as it should be: whole, or pruned."""
        return self.verdict in ("whole", "pruned")


@dataclass(frozen=True)
class ResumeCheck:
    """The commit that a resume would use."""

    commit: int
    """The step of the machine that it was made after."""
    epoch: int
    """The last finished epoch, -1 before the first."""
    checkpoint: str | None
    """Its checkpoint, relative to the run's folder; ``None`` where no epoch had ended."""


@dataclass(frozen=True)
class Verification:
    """What was found of a run's commits."""

    run_id: str
    project: str
    commits: tuple[CommitCheck, ...]
    """All of them, the oldest first."""
    resume: ResumeCheck | None
    """What a resume would use, ``None`` where no commit can be used."""
    problem: str | None = None
    """Why no commit can be used, in words."""

    @property
    def sound(self) -> bool:
        """Whether everything that must be there is whole."""
        return self.resume is not None and all(commit.sound for commit in self.commits)


def verify(files: RunFiles, rows: StateRows) -> Verification:
    """Check every commit of a run. Nothing is written, and no lock is taken.

    Args:
        files: The run's files.
        rows: The run's rows.
    """
    folder = files.folder
    try:
        rows.newest_sequence_id()
    except Exception as error:  # each kind of persister has errors of its own
        unreadable = f"the rows cannot be read: {_say(error)}"
        return Verification(folder.run_id, folder.project, (), None, unreadable)
    # The resume first: what a run that trains meanwhile commits then is in the list, or newer than it.
    resume, problem = _resume(files, rows)
    return Verification(folder.run_id, folder.project, _Look(files, rows).checks(), resume, problem)


def _resume(files: RunFiles, rows: StateRows) -> tuple[ResumeCheck | None, str | None]:
    """What a resume would use, or why it could use nothing."""
    for _ in range(_LOOKS):
        newest = rows.newest_sequence_id()
        problem = None
        try:
            point = StoredCommits(files, rows).resume_point()
        except Exception as error:  # a resume would meet it too
            point, problem = None, f"a resume would fail: {_say(error)}"
        if rows.newest_sequence_id() == newest:
            break
    if problem is not None:
        return None, problem
    if point is None:
        return None, "no commit has been made yet"
    if point.row is None:
        return None, "no checkpoint that a commit names is whole"
    named = files.relative(point.checkpoint) if point.checkpoint else None
    return ResumeCheck(point.row.sequence_id, point.row.state["epoch"], named), None


class _Look:
    """A look at all commits of a run, as its rows stood when it began."""

    def __init__(self, files: RunFiles, rows: StateRows) -> None:
        self._files, self._folder, self._rows = files, files.folder, rows
        self._unreadable: dict[int, str] = {}
        self._stored: dict[int, StoredRow] = {}
        newest = rows.newest_sequence_id()
        for sequence_id in range(newest if newest is not None else -1, -1, -1):
            self._read(sequence_id)
        self._incomplete = _incomplete(self._stored)
        inside = files.partials()
        self._inside = next((facts for facts in inside if facts["commit"] == newest), None)
        self._verdicts: dict[tuple[str, str], tuple[Verdict, str | None]] = {}

    def _read(self, sequence_id: int) -> None:
        try:
            row = self._rows.stored(sequence_id)
        except UnreadableRowError as error:
            self._unreadable[sequence_id] = error.error
        except Exception as error:  # each kind of persister has errors of its own
            self._unreadable[sequence_id] = _say(error)
        else:
            if row is not None:
                self._stored[sequence_id] = row

    def checks(self) -> tuple[CommitCheck, ...]:
        """What was found of each commit, the oldest first."""
        known = sorted({*self._stored, *self._unreadable})
        checks = [self._checked(sequence_id) for sequence_id in known]
        if self._inside is not None and self._inside["commit"] in self._stored:
            row = replace(self._stored[self._inside["commit"]], checkpoint=self._inside)
            verdict, detail = self._checkpoint(row)
            inside = f"inside epoch {self._inside['epoch']}"
            named = self._inside["path"]
            checks.append(CommitCheck(row.sequence_id, inside, row.epoch, named, verdict, detail))
        return tuple(checks)

    def _checked(self, sequence_id: int) -> CommitCheck:
        if sequence_id in self._unreadable:
            error = self._unreadable[sequence_id]
            return CommitCheck(
                sequence_id, None, None, None, "unreadable", f"the row cannot be read: {error}"
            )
        row = self._stored[sequence_id]
        verdict, detail = self._checkpoint(row)
        if sequence_id in self._incomplete:
            gone = self._incomplete[sequence_id]
            verdict, detail = "incomplete", f"row {gone}, with the metric history before it, is gone"
        named = row.checkpoint["path"] if row.checkpoint else None
        return CommitCheck(sequence_id, row.position, row.epoch, named, verdict, detail)

    def _checkpoint(self, row: StoredRow) -> tuple[Verdict, str | None]:
        if row.checkpoint is None:
            return "whole", None
        path, digest = row.checkpoint["path"], row.checkpoint["sha256"]
        if (path, digest) not in self._verdicts:
            self._verdicts[path, digest] = self._file(path, digest)
        return self._verdicts[path, digest]

    def _file(self, path: str, digest: str) -> tuple[Verdict, str | None]:
        try:
            actual = sha256(self._folder.path / path)
        except FileNotFoundError:
            if self._files.has(self._folder.path / path):
                return self._only_there(path, digest, "only its copy is left, and is damaged")
            if self._is_newest(path):
                return "missing", "the newest checkpoint is gone"
            return "pruned", None
        except OSError as error:
            return "damaged", f"the checkpoint cannot be read: {_say(error)}"
        if actual != digest:
            wrong = f"the checkpoint's SHA-256 is {actual[:12]}…, its row says {digest[:12]}…"
            return self._only_there(path, digest, wrong)
        return "whole", None

    def _only_there(self, path: str, digest: str, wrong: str) -> tuple[Verdict, str | None]:
        """A checkpoint that is not whole here: it may be so in the copy."""
        if self._files.is_whole(self._folder.path / path, digest):
            return "whole", f"in its copy at {self._files.remote}"
        return "damaged", wrong

    def _is_newest(self, path: str) -> bool:
        """Whether no commit names a newer checkpoint, one that a run has made meanwhile included."""
        if self._inside is not None:
            return bool(path == self._inside["path"])
        newest = self._rows.newest_sequence_id()
        if newest in self._unreadable:
            newest = max(self._stored, default=None)
        row = self._rows.stored(newest) if newest is not None else None
        return row is not None and row.checkpoint is not None and row.checkpoint["path"] == path


def _incomplete(rows: Mapping[int, StoredRow]) -> dict[int, int]:
    """The rows whose history cannot be put together, each with the row that is gone."""
    found: dict[int, int] = {}
    for sequence_id in sorted(rows):
        before = rows[sequence_id].before
        if before is None:
            continue
        if before in found:
            found[sequence_id] = found[before]
        elif before not in rows:
            found[sequence_id] = before
    return found


def _say(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
