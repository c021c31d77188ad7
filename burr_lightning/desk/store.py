"""The runs that the page shows, each opened on its own: one that is damaged hides no other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..known_runs import why_unreadable
from ..layout import RunFolder, RunInfo, run_folders
from ..locks import is_held
from ..persisters import Place
from ..runs import Run
from ..runs.family import KnownInfos
from ..runs.lineage import Lineage
from ..runs.words import status_in_words
from ..stored_rows import StoredRows
from ..tracked import place_of
from .remembering import NewestRows, RowMemory


@dataclass(frozen=True)
class StoredRun:
    """A run, and what its folder says of it."""

    folder: RunFolder
    info: RunInfo
    run: Run

    @property
    def is_owned(self) -> bool:
        """Whether a living process owns it."""
        return is_held(self.folder.lock)


@dataclass(frozen=True)
class UnreadableRun:
    """A folder of a run that cannot be shown."""

    folder: RunFolder
    error: str
    """Why, in words."""


class NoSuchRunError(LookupError):
    """No run of that project and id is stored there."""


class RunStore:
    """The stored runs below one folder.

    Args:
        root: The folder that holds all runs.
        project: The only project that is shown, ``None`` for all.
        persister: A persister for all runs, or the URL of those that were trained with it.
    """

    def __init__(self, root: Path, project: str | None = None, persister: str | Place | None = None) -> None:
        self.root, self.project = root, project
        self._persister = persister
        self._memory = RowMemory()
        self._infos = KnownInfos()

    def all(self) -> list[StoredRun | UnreadableRun]:
        """All runs, the newest first; those that cannot be read come last."""
        with NewestRows(self._memory, self._persister) as rows:
            found = [opened(folder, rows) for folder in run_folders(self.root, self.project)]
        readable = [run for run in found if isinstance(run, StoredRun)]
        unreadable = [run for run in found if isinstance(run, UnreadableRun)]
        return [*sorted(readable, key=lambda one: one.info.created, reverse=True), *unreadable]

    def one(self, project: str, run_id: str) -> StoredRun | UnreadableRun:
        """One run, by the names of its folders.

        Raises:
            NoSuchRunError: If there is none. The names are compared with those of the folders that exist,
                so that no name leads out of the folder of all runs.
        """
        for folder in run_folders(self.root, self.project):
            if (_sent(folder.project), _sent(folder.run_id)) == (project, run_id):
                with NewestRows(self._memory, self._persister) as rows:
                    return opened(folder, rows)
        raise NoSuchRunError(f"{project}/{run_id}")

    def lineage(self, stored: StoredRun) -> Lineage:
        """The relatives of a run."""
        return Lineage.of(stored.run, stored.folder, stored.info, self._infos.info)

    def signature(self, stored: StoredRun) -> str:
        """A text that is another one whenever something about a run has changed; cheap to ask for."""
        folder, tracker = stored.folder, place_of(stored.folder, stored.info)
        places = [folder.path / "run.json", folder.path / "outcome.json", folder.path / "reviews"]
        places += [folder.checkpoints, *([tracker / "log.jsonl"] if tracker else [])]
        state, run = stored.run.state, stored.run
        row = [state[key] for key in ("epoch", "global_step", "seconds", "stop_reason")] if state else None
        asks = run.question.fingerprint if run.question else None
        stands = [run.position, run.rows_error, stored.is_owned, status_in_words(run), asks]
        parts = [row, *stands, self.lineage(stored)]
        return repr([*parts, *map(_changed, places)])


def opened(folder: RunFolder, rows: StoredRows) -> StoredRun | UnreadableRun:
    """A run, or why it cannot be read: another version's files, or somebody's hand."""
    try:
        info = folder.info()
        if info is None:
            return UnreadableRun(folder, why_unreadable(folder) or "its run.json was being written")
        return StoredRun(folder, info, Run(folder, info, rows))
    except Exception as error:  # whatever is wrong with it is told in its place
        return UnreadableRun(folder, f"{type(error).__name__}: {error}")


def _sent(name: str) -> str:
    """The name of a folder as an address brings it: where it is no UTF-8, with a sign for what is not."""
    return os.fsencode(name).decode(errors="replace")


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: no file can have that name
        return None
    return status.st_mtime_ns, status.st_size
