"""Runs as they are stored: opened from outside a training process, while one trains or not."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from burr.core import State
from burr.core.persistence import BaseStatePersister

from .errors import BurrLightningError, RowsError, RunNotFoundError
from .history import MetricHistory
from .layout import DATABASE, RunFolder, RunInfo, default_persister, home, run_folders
from .locks import is_held
from .plots import plot_run
from .rows import Row, StateRows
from .steps import MachinePath, read_steps

if TYPE_CHECKING:
    from .commits.verify import Verification

Status = Literal["running", "finished", "failed", "interrupted"]


class Run:
    """A stored run, read-only: what it says is what stood there when it was opened.

    Use `Run.open`, or `list_runs`.
    """

    def __init__(self, folder: RunFolder, info: RunInfo, persister: BaseStatePersister | None) -> None:
        self._folder, self._info, self._persister = folder, info, persister
        self._newest: Row | None = None
        self._unread: BurrLightningError | None = None
        if not self._rows_are_elsewhere:
            self._read_newest()

    @classmethod
    def open(
        cls,
        run_id: str,
        project: str | None = None,
        *,
        root_dir: str | os.PathLike[str] | None = None,
        persister: BaseStatePersister | None = None,
    ) -> Run:
        """Open a run by its id.

        Args:
            run_id: The run.
            project: Its project; ``None`` looks through all of them.
            root_dir: Where runs are kept, as in `BurrCallback`.
            persister: The persister it was trained with; ``None`` is SQLite in ``root_dir``, and a
                run whose rows are elsewhere then has no `state`.

        Raises:
            RunNotFoundError: If there is no such run, or one in several projects.
        """
        root = home(root_dir)
        known = _known(root, project)
        named = [folder for folder in known if folder.run_id == run_id]
        return cls(*_only(named, known, run_id, root), persister)

    @property
    def run_id(self) -> str:
        """The run's id: the Burr application's."""
        return self._info.run_id

    @property
    def project(self) -> str:
        """The run's project: the partition key of its rows, and the project in Burr's UI."""
        return self._info.project

    @property
    def folder(self) -> Path:
        """The folder that holds the run's checkpoints."""
        return self._folder.path

    @property
    def created(self) -> datetime:
        """When it was started first, local time."""
        return datetime.fromtimestamp(self._info.created)

    @property
    def status(self) -> Status:
        """``running`` while a process owns it; ``interrupted`` where one was killed."""
        if is_held(self._folder.lock):
            return "running"
        outcome = self._folder.outcome()
        return outcome.status if outcome else "interrupted"

    @property
    def error(self) -> str | None:
        """The exception that ended it the last time it ran, ``None`` where there was none."""
        outcome = self._folder.outcome()
        return outcome.error if outcome else None

    @property
    def _rows_are_elsewhere(self) -> bool:
        return self._info.persister is not None and self._persister is None

    def _read_newest(self) -> None:
        try:
            with self.rows() as rows:
                self._newest = rows.newest()
        except BurrLightningError as error:
            self._unread = error
        except Exception as error:  # each kind of persister has errors of its own
            self._unread = RowsError(
                f"Run {self.run_id!r}: its rows cannot be read ({type(error).__name__}: {error}). "
                f"'burr-lightning verify {self.run_id}' checks them one by one."
            )

    @property
    def _row(self) -> Row | None:
        if self._unread is not None:
            raise self._unread
        return self._newest

    @contextmanager
    def rows(self) -> Iterator[StateRows]:
        """The run's rows, for as long as the ``with`` block lasts.

        Raises:
            RowsError: If they are in a persister of the user's own, and it was not given to `open`;
                if the database cannot be opened.
        """
        folder = self._folder
        if self._rows_are_elsewhere:
            raise RowsError(
                f"Run {self.run_id!r}: its rows are in a {self._info.persister}, not in {folder.root}. "
                f"Run.open({self.run_id!r}, persister=...) reads them from there."
            )
        if self._persister is not None:
            yield StateRows(self._persister, folder.project, folder.run_id)
            return
        try:
            own = default_persister(folder.root)
        except (OSError, sqlite3.Error) as error:
            raise RowsError(
                f"Run {self.run_id!r}: its rows cannot be opened ({type(error).__name__}: {error}). They are "
                f"in {folder.root / DATABASE}; without that file the run starts afresh."
            ) from error
        with own:
            yield StateRows(own, folder.project, folder.run_id)

    def verify(self) -> Verification:
        """Check every commit: its row, the checkpoint that it names, the history before it.

        Nothing is written and no lock is taken, so a run that trains meanwhile can be checked.

        Returns:
            What was found of each commit, and what a resume would use.

        Raises:
            RowsError: If the rows are in a persister of the user's own, and it was not given to `open`;
                if the database cannot be opened at all.

        Example:
            >>> [run] = list_runs()  # doctest: +SKIP
            >>> run.verify().sound  # doctest: +SKIP
            True
        """
        from .commits.verify import verify

        with self.rows() as rows:
            return verify(self._folder, rows)

    @property
    def state(self) -> State[Any] | None:
        """The state of the newest commit, ``None`` before the first.

        Raises:
            RowsError: If the newest row cannot be read.
        """
        return self._row.state if self._row else None

    @property
    def position(self) -> str | None:
        """The action that the newest commit was made after."""
        return self._row.position if self._row else None

    @property
    def history(self) -> MetricHistory:
        """The metrics of all committed epochs."""
        history: MetricHistory = self.state["history"] if self.state else MetricHistory()
        return history

    @property
    def epoch(self) -> int:
        """The last committed epoch, -1 before the first."""
        return int(self.state["epoch"]) if self.state else -1

    @property
    def stop_reason(self) -> str | None:
        """What ended it, in words; ``None`` while it goes on."""
        return self.state["stop_reason"] if self.state else None

    @property
    def best(self) -> dict[str, Any] | None:
        """Epoch, value and checkpoint of the best epoch, ``None`` while there is none."""
        return self.state["best"] if self.state else None

    @property
    def best_checkpoint(self) -> Path | None:
        """The best epoch's checkpoint, ``None`` where there is none on disk."""
        named = self.best["checkpoint"] if self.best else None
        path = self.folder / named if named else None
        return path if path and path.exists() else None

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest commit's checkpoint, ``None`` before the first."""
        named = self.state["checkpoint"] if self.state else None
        return self.folder / named["path"] if named else None

    @property
    def path(self) -> MachinePath:
        """The steps of the machine, as Burr's local tracker recorded them; empty where it did not."""
        return read_steps(Path(self._info.tracker)) if self._info.tracker else MachinePath()

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the learning curves, with the machine's steps under them.

        Args:
            path: Where to write the picture, by its ending PNG, SVG or PDF; ``None`` writes none.

        Returns:
            A matplotlib figure.

        Raises:
            ModuleNotFoundError: Without matplotlib, which the extra ``plot`` brings.
        """
        title = f"{self.run_id}: {self.stop_reason or self.status}"
        figure = plot_run(title, self.history, self.path, self._info.monitor, self.best)
        if path is not None:
            figure.savefig(os.fspath(path), dpi=150)
        return figure

    def __repr__(self) -> str:
        return f"Run({self.run_id!r}, project={self.project!r}, {self.status}, epoch {self.epoch})"


def list_runs(
    project: str | None = None,
    *,
    root_dir: str | os.PathLike[str] | None = None,
    persister: BaseStatePersister | None = None,
) -> list[Run]:
    """All runs, or those of one project, the newest first.

    Args:
        project: The project; ``None`` lists all.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: The persister they were trained with; ``None`` is SQLite in ``root_dir``.
    """
    folders = run_folders(home(root_dir), project)
    runs = [Run(folder, info, persister) for folder in folders if (info := folder.info())]
    return sorted(runs, key=lambda run: run.created, reverse=True)


def find_run(
    wanted: str,
    project: str | None = None,
    *,
    root_dir: str | os.PathLike[str] | None = None,
    persister: BaseStatePersister | None = None,
) -> Run:
    """Open a run as one types it: its id, a beginning of it that no other run has, or ``latest``.

    Args:
        wanted: Which run.
        project: Its project; ``None`` looks through all of them.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: The persister it was trained with; ``None`` is SQLite in ``root_dir``.

    Raises:
        RunNotFoundError: If no run, or more than one, is meant.
    """
    root = home(root_dir)
    known = _known(root, project)
    meant = [folder for folder in known if folder.run_id == wanted]
    if not meant and wanted == "latest" and known:
        meant = [max(known, key=lambda folder: known[folder].created)]
    if not meant and wanted:
        meant = [folder for folder in known if folder.run_id.startswith(wanted)]
    return Run(*_only(meant, known, wanted, root), persister)


def _known(root: Path, project: str | None) -> dict[RunFolder, RunInfo]:
    return {folder: info for folder in run_folders(root, project) if (info := folder.info())}


def _only(
    meant: list[RunFolder], known: dict[RunFolder, RunInfo], wanted: str, root: Path
) -> tuple[RunFolder, RunInfo]:
    if len(meant) != 1:
        names = [f"{folder.project}/{folder.run_id}" for folder in meant or known]
        raise RunNotFoundError(wanted, names, str(root), several=bool(meant))
    return meant[0], known[meant[0]]
