"""A run as it is stored: opened from outside a training process, while one trains or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burr.core import State

from ..history import MetricHistory
from ..known_runs import known_runs, only_run
from ..layout import home
from ..persisters import Place
from ..rows import StateRows
from ..steps import MachinePath, read_steps
from ..stored_rows import StoredRows
from ..tracked import place_of, taken_by, tracked_graph
from .asked import AskedRun
from .committed import Commit, commits_of
from .family import parent_info
from .forks import ForkableRun
from .html import as_html

if TYPE_CHECKING:
    from ..commits.verify import Verification


class Run(AskedRun, ForkableRun):
    """A stored run: what it says is what stood there when it was opened.

    Use `Run.open`, or `list_runs`.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> from burr_lightning import BurrCallback
        >>> from burr_lightning.testing import ScriptedModule, scripted_loader
        >>> options = dict(max_epochs=3, logger=False, enable_progress_bar=False, enable_model_summary=False)
        >>> burr = BurrCallback("seen", monitor="val_loss")
        >>> trainer = Trainer(callbacks=[burr], accelerator="cpu", **options)
        >>> trainer.fit(ScriptedModule(val_loss=[0.9, 0.5, 0.7]), scripted_loader(), scripted_loader())
        >>> run = Run.open("seen")
        >>> run.status, run.epoch, run.best["epoch"], list(run.history["val_loss"])
        ('finished', 2, 1, [0.9, 0.5, 0.7])
    """

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

    def is_fork_of(self, other: Run) -> bool:
        """Whether it was forked from another run: from that itself, not from an earlier one of its name."""
        return self.parent is not None and self.parent.is_in(other._info)

    @property
    def parent_is_there(self) -> bool:
        """Whether the run that it was forked from is still stored."""
        return parent_info(self._folder, self._info) is not None

    def tracked_graph(self) -> dict[str, Any] | None:
        """The machine as Burr's local tracker stored it, ``None`` where it stored none."""
        return tracked_graph(self._folder, self._info)

    @property
    def folder(self) -> Path:
        """The folder that holds the run's checkpoints."""
        return self._folder.path

    @property
    def created(self) -> datetime:
        """When it was started first, local time."""
        return datetime.fromtimestamp(self._info.created)

    @property
    def error(self) -> str | None:
        """The exception that ended it the last time it ran, ``None`` where there was none."""
        outcome = self._folder.outcome()
        return outcome.error if outcome else None

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
            >>> from burr_lightning.testing import scripted_run
            >>> scripted_run("digits", val_loss=[0.9, 0.5]).verify().sound
            True
        """
        from ..commits.run_files import RunFiles
        from ..commits.verify import verify

        with self.rows() as rows:
            return verify(RunFiles.of_stored(self._folder, self._info, rows), rows)

    @property
    def commits(self) -> list[Commit]:
        """All commits, the oldest first; a damaged row is left out, and `verify` names it.

        Raises:
            BurrLightningError: If the rows cannot be reached; see `rows_error`.
        """
        with self.rows() as rows:
            return commits_of(self._folder, rows)

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
        """What ended it, in words; ``None`` while it goes on, and for a fork while that is its parent's."""
        return self.state["stop_reason"] if self.state and not self._has_its_parents_end else None

    @property
    def hparams(self) -> dict[str, Any]:
        """The module's hyperparameters, as they are now; long ones are cut."""
        return dict(self.state["hparams"]) if self.state else {}

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
        place = place_of(self._folder, self._info)
        return read_steps(place) if place is not None else MachinePath()

    @property
    def untracked(self) -> str:
        """Why Burr's local tracker has nothing of it, in words, where that is so."""
        tracked = self._info.tracker
        taken = taken_by(Path(tracked), self._folder) if tracked is not None else None
        if taken is None:
            return "Burr's local tracker did not record this run"
        return f"its place in Burr's local tracker was taken by the run of the same name in {taken}"

    def to_pandas(self) -> Any:
        """The metrics of all committed epochs as a ``DataFrame``, as `MetricHistory.to_pandas` has it.

        Raises:
            MissingExtraError: Without pandas.
        """
        return self.history.to_pandas()

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the learning curves, with stages, actions, commits, forks and stops under them.

        Args:
            path: Where to write the picture, by its ending PNG, SVG or PDF; ``None`` writes none.

        Returns:
            A matplotlib figure.

        Raises:
            MissingExtraError: Without matplotlib, which the extra ``plot`` brings.
        """
        from ..figures import curves_figure

        figure = curves_figure(self)
        if path is not None:
            figure.savefig(os.fspath(path), dpi=150)
        return figure

    def _repr_html_(self) -> str:
        return as_html(self)

    def __repr__(self) -> str:
        return f"Run({self.run_id!r}, project={self.project!r}, {self.status}, epoch {self.epoch})"
