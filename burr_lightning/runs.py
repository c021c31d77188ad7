"""Runs as they are stored: opened from outside a training process, while one trains or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from burr.core import State

from .answering import give_answer, waiting
from .history import MetricHistory
from .known_runs import known_runs, only_run
from .layout import RunFolder, RunInfo, home, run_folders
from .locks import is_held
from .persisters import Place
from .plots import plot_run
from .questions import Answer, Question
from .reviews import Asked, Reviews
from .rows import StateRows
from .steps import MachinePath, read_steps
from .stored_rows import StoredRows
from .tracked import tracked_graph
from .waiting import question_in_state

if TYPE_CHECKING:
    from .commits.verify import Verification

Status = Literal["running", "paused", "finished", "failed", "interrupted"]


class Run:
    """A stored run: what it says is what stood there when it was opened.

    Use `Run.open`, or `list_runs`.
    """

    def __init__(self, folder: RunFolder, info: RunInfo, rows: StoredRows) -> None:
        self._folder, self._info, self._given = folder, info, rows.given
        self._row, self._rows_error = rows.newest(folder, info)
        if self._row is not None and (question := self.question) is not None:
            open_question = question_in_state(question)
            self._row = replace(self._row, state=self._row.state.update(review=open_question))

    @classmethod
    def open(
        cls,
        run_id: str,
        project: str | None = None,
        *,
        root_dir: str | os.PathLike[str] | None = None,
        persister: str | Place | None = None,
    ) -> Run:
        """Open a run by its id.

        Args:
            run_id: The run.
            project: Its project; ``None`` looks through all of them.
            root_dir: Where runs are kept, as in `BurrCallback`.
            persister: The persister it was trained with, or its URL; ``None`` is the one that the run's
                folder names, without a password. Where that cannot be opened the run has no `state`, and
                `rows_error` says why.

        Raises:
            RunNotFoundError: If there is no such run, or one in several projects.
            PersisterError: If the rows in the persister that was given, or in SQLite in ``root_dir``,
                cannot be read.
        """
        root = home(root_dir)
        known = known_runs(root, project)
        named = [folder for folder in known if folder.run_id == run_id]
        with StoredRows(persister, "Run.open", strict=True) as rows:
            return cls(*only_run(named, known, run_id, root), rows)

    @property
    def run_id(self) -> str:
        """The run's id: the Burr application's."""
        return self._info.run_id

    @property
    def project(self) -> str:
        """The run's project: the partition key of its rows, and the project in Burr's UI."""
        return self._info.project

    def tracked_graph(self) -> dict[str, Any] | None:
        """The machine as Burr's local tracker stored it, ``None`` where it stored none."""
        return tracked_graph(self._info)

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
        """``running`` while a process owns it; ``interrupted`` where one was killed.

        ``paused`` while it waits for an answer, with a process or without one, and until one goes on with it.
        """
        asked = self._waiting()
        if asked is not None and asked.answer is None:
            return "paused"
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
    def question(self) -> Question | None:
        """What the run waits to be told, ``None`` where it waits for nothing."""
        asked = self._waiting()
        return asked.question if asked and asked.answer is None else None

    @property
    def is_answered(self) -> bool:
        """Whether the question that it stands at has an answer, and nothing has gone on with it yet."""
        asked = self._waiting()
        return asked is not None and asked.answer is not None

    @property
    def reviews(self) -> list[Asked]:
        """All that the run has asked, in order, with what was answered, by whom and when."""
        return Reviews(self._folder).all()

    def answer(
        self, verdict: str | None = None, *, comment: str = "", by: str | None = None, **values: Any
    ) -> Answer:
        """Answer what the run asks; the same script, or `burr-lightning work`, then goes on with it.

        Args:
            verdict: One of the options of a `Review`; ``None`` where it asks for none.
            comment: What is to be kept beside it, 1,000 characters or less.
            by: Who answers; ``None`` is the user of this process.
            values: The other values that are asked for, as ``lr=1e-4``.

        Returns:
            What was kept.

        Raises:
            NotAskedError: If nothing is asked, or it was answered already.
            AnswerError: If a value is missing, unknown or of another kind; the question stays open.

        Example:
            >>> Run.open("digits").answer("go", lr=1e-4, comment="It still learns.")  # doctest: +SKIP
        """
        given = values if verdict is None else {"verdict": verdict, **values}
        return self.give_answer(given, comment=comment, by=by, via="python")

    def give_answer(self, values: dict[str, Any], *, via: str, **said: Any) -> Answer:
        """What `answer` does, for those who say how it came, and ``to`` which question."""
        reviews, asked = Reviews(self._folder), self._waiting()
        return give_answer(reviews, self.run_id, asked, self.status, values, via=via, **said)

    def _waiting(self) -> Asked | None:
        return waiting(self._folder, self._row.sequence_id if self._row else None)

    @contextmanager
    def rows(self) -> Iterator[StateRows]:
        """The run's rows, for as long as the ``with`` block lasts.

        Raises:
            BurrLightningError: If they cannot be reached; see `rows_error`.
        """
        with StoredRows(self._given, "Run.rows", strict=True) as stored:
            yield stored.rows(self._folder, self._info)

    def verify(self) -> Verification:
        """Check every commit: its row, the checkpoint that it names, the history before it.

        Nothing is written and no lock is taken, so a run that trains meanwhile can be checked.

        Returns:
            What was found of each commit, and what a resume would use.

        Raises:
            BurrLightningError: If the rows cannot be reached; see `rows_error`.

        Example:
            >>> [run] = list_runs()  # doctest: +SKIP
            >>> run.verify().sound  # doctest: +SKIP
            True
        """
        from .commits.verify import verify

        with self.rows() as rows:
            return verify(self._folder, rows)

    @property
    def rows_error(self) -> str | None:
        """Why its rows cannot be read, in words; ``None`` where they can."""
        return self._rows_error

    @property
    def state(self) -> State[Any] | None:
        """The state of the newest commit, ``None`` before the first, and where `rows_error` says why."""
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
            MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
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
    persister: str | Place | None = None,
) -> list[Run]:
    """All runs, or those of one project, the newest first.

    Args:
        project: The project; ``None`` lists all.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: A persister for all of them, or the URL of those that were trained with it, with the
            password; ``None`` is the one that each run's folder names.

    A run whose rows cannot be read is listed without a state, and its `Run.rows_error` says why.
    """
    folders = run_folders(home(root_dir), project)
    with StoredRows(persister, "list_runs", strict=False) as rows:
        runs = [Run(folder, info, rows) for folder in folders if (info := folder.info())]
    return sorted(runs, key=lambda run: run.created, reverse=True)


def find_run(
    wanted: str,
    project: str | None = None,
    *,
    root_dir: str | os.PathLike[str] | None = None,
    persister: str | Place | None = None,
) -> Run:
    """Open a run as one types it: its id, a beginning of it that no other run has, or ``latest``.

    Args:
        wanted: Which run.
        project: Its project; ``None`` looks through all of them.
        root_dir: Where runs are kept, as in `BurrCallback`.
        persister: The persister it was trained with, as in `Run.open`.

    Raises:
        RunNotFoundError: If no run, or more than one, is meant.
    """
    root = home(root_dir)
    known = known_runs(root, project)
    meant = [folder for folder in known if folder.run_id == wanted]
    if not meant and wanted == "latest" and known:
        meant = [max(known, key=lambda folder: known[folder].created)]
    if not meant and wanted:
        meant = [folder for folder in known if folder.run_id.startswith(wanted)]
    with StoredRows(persister, "find_run", strict=True) as rows:
        return Run(*only_run(meant, known, wanted, root), rows)
