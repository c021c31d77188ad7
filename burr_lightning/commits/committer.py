"""The commit protocol: a checkpoint that is whole on disk, then the row that names it, then pruning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burr.core import State

from ..errors import UnreadableRowError
from ..layout import RunFolder
from ..rows import Row, StateRows
from ..state import committed, monitored
from .checkpoints import CheckpointName, Checkpoints, to_prune
from .files import is_whole, write_durably


@dataclass(frozen=True)
class ResumePoint:
    """A commit that a run can go on from."""

    row: Row | None
    """``None`` where no commit can be used."""
    newest_sequence_id: int
    """The newest step that has a row; steps are numbered on from there."""
    checkpoint: Path | None = None
    """The checkpoint that the row names, whole; ``None`` where no epoch had ended."""
    skipped: tuple[str, ...] = ()
    """Newer commits that cannot be used, and why, in words."""


class Committer:
    """Makes the commits of one run and finds the one to resume from.

    Args:
        folder: The run's folder.
        rows: The run's rows.
        keep: Which checkpoints to keep.
    """

    def __init__(self, folder: RunFolder, rows: StateRows, keep: Checkpoints) -> None:
        self._folder, self._rows, self._keep = folder, rows, keep

    def commit(
        self,
        sequence_id: int,
        position: str,
        state: State[Any],
        save_checkpoint: Callable[[Path], None] | None,
    ) -> State[Any]:
        """Make what has happened so far durable.

        The order is the promise: the checkpoint is whole on disk before the row names it, and
        nothing is deleted before the row is written.

        Args:
            sequence_id: The step of the machine that has run.
            position: Its action.
            state: The state after it.
            save_checkpoint: Writes a checkpoint to a path; ``None`` where the trainer has not
                changed since the commit before, whose checkpoint the row then names.

        Returns:
            The state, which names the checkpoint.
        """
        if save_checkpoint is not None:
            name = CheckpointName(sequence_id, state["epoch"], state["global_step"])
            path = self._folder.checkpoints / str(name)
            digest = write_durably(path, save_checkpoint)
            relative = path.relative_to(self._folder.path).as_posix()
            facts = {"path": relative, "epoch": name.epoch, "sha256": digest, "commit": sequence_id}
            state = committed(state, facts)
        self._rows.save(sequence_id, position, state)
        if save_checkpoint is not None:
            self._prune(state)
        return state

    def _prune(self, state: State[Any]) -> None:
        history = state["history"]
        metric = monitored(history, state["monitor"])
        paths = {CheckpointName.parse(path): path for path in self._folder.checkpoints.iterdir()}
        names = [name for name in paths if name is not None]
        values: dict[int, float] = {}
        if metric is not None and metric.name in history:
            column = history[metric.name]
            values = {name.epoch: column[name.epoch] for name in names if name.epoch < len(column)}
        for name in to_prune(names, self._keep, metric, values):
            paths[name].unlink()

    def resume_point(self) -> ResumePoint | None:
        """The newest commit whose row and checkpoint are whole, ``None`` where the run is new.

        Raises:
            UnreadableRowError: If no commit can be used, and a row among them is damaged.
        """
        skipped: dict[str, None] = {}
        newest = unreadable = None
        for sequence_id, facts in self._rows.checkpoints():
            newest = sequence_id if newest is None else newest
            if isinstance(facts, UnreadableRowError):
                unreadable = unreadable or facts
                skipped[f"step {sequence_id}: its row is damaged"] = None
                continue
            path = self._folder.path / facts["path"] if facts else None
            if facts is None or path is None:
                return ResumePoint(self._rows.at(sequence_id), newest, None, tuple(skipped))
            if is_whole(path, facts["sha256"]):
                return ResumePoint(self._rows.at(sequence_id), newest, path, tuple(skipped))
            state = "is damaged" if path.exists() else "is missing"
            skipped[f"epoch {facts['epoch']}: {facts['path']} {state}"] = None
        if unreadable is not None:
            raise unreadable
        return ResumePoint(None, newest, None, tuple(skipped)) if newest is not None else None

    def rows_of(self, checkpoint: dict[str, Any]) -> Iterator[Row]:
        """The rows of one boundary, the newest first: those that name the same checkpoint."""
        for sequence_id, facts in self._rows.checkpoints():
            if facts != checkpoint:
                return
            if row := self._rows.at(sequence_id):
                yield row

    def checkpoint_of(self, epoch: int) -> str | None:
        """The newest checkpoint on disk of an epoch, relative to the run's folder."""
        for path in sorted(self._folder.checkpoints.iterdir(), reverse=True):
            name = CheckpointName.parse(path)
            if name is not None and name.epoch == epoch:
                return path.relative_to(self._folder.path).as_posix()
        return None

    def go_on_from(self, row: Row) -> None:
        """Let the commits to come refer to this one."""
        self._rows.go_on_from(row)
