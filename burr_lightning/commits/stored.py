"""The commits of a run as they are stored: which of them a run can go on from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UnreadableRowError
from ..rows import Row, StateRows
from .checkpoints import of_epoch
from .files import remove_torn_files
from .partial import read_partial, remove_partial
from .run_files import RunFiles


@dataclass(frozen=True)
class ResumePoint:
    """A commit that a run can go on from."""

    row: Row | None
    """``None`` where no commit can be used."""
    newest_sequence_id: int
    """The newest step that has a row; steps are numbered on from there."""
    checkpoint: Path | None = None
    """The checkpoint to restore, whole; ``None`` where no epoch had ended."""
    skipped: tuple[str, ...] = ()
    """Newer commits that cannot be used, and why, in words."""


class StoredCommits:
    """The commits of one run, as they are stored.

    Args:
        files: The run's files.
        rows: The run's rows.
    """

    def __init__(self, files: RunFiles, rows: StateRows) -> None:
        self._files, self._folder, self._rows = files, files.folder, rows

    def resume_point(self, ranks: int | None = None) -> ResumePoint | None:
        """The newest commit whose row and checkpoint are whole, ``None`` where the run is new.

        The beginning of a run is no substitute for commits that are damaged.

        Args:
            ranks: How many processes go on: one from the middle of an epoch serves as many as made it.
                ``None`` asks for what serves any number.

        Raises:
            UnreadableRowError: If no commit can be used, and a row among them is damaged.
            CopyError: If a checkpoint is only in the copy, and that cannot be read.
        """
        skipped: dict[str, None] = {}
        unreadable: list[UnreadableRowError] = []
        newest = None
        for sequence_id, checkpoint in self._candidates():
            newest = sequence_id if newest is None else newest
            if isinstance(checkpoint, UnreadableRowError):
                unreadable.append(checkpoint)
                skipped[f"step {sequence_id}: its row is damaged"] = None
                continue
            if checkpoint is None and skipped:
                break
            if checkpoint is None:
                return ResumePoint(self._rows.at(sequence_id), newest, None, tuple(skipped))
            made_by = checkpoint.get("ranks", 1)
            if "batch" in checkpoint and ranks not in (None, made_by):
                skipped[
                    f"epoch {checkpoint['epoch']}, after {checkpoint['batch']} batches of it: it was made by "
                    f"{made_by} processes, which share an epoch otherwise than {ranks}"
                ] = None
                continue
            path = self._folder.path / checkpoint["path"]
            if self._files.is_whole(path, checkpoint["sha256"]):
                return ResumePoint(self._row(sequence_id, checkpoint), newest, path, tuple(skipped))
            state = self._files.state_of(path)
            skipped[f"epoch {checkpoint['epoch']}: {checkpoint['path']} {state}"] = None
        if unreadable:
            raise unreadable[0].with_older(len(unreadable) - 1) from unreadable[0].__cause__
        return ResumePoint(None, newest, None, tuple(skipped)) if newest is not None else None

    def _candidates(self) -> Iterator[tuple[int, dict[str, Any] | UnreadableRowError | None]]:
        """The step of each commit and the checkpoint that goes with it, the newest first."""
        for index, (sequence_id, checkpoint) in enumerate(self._rows.checkpoints()):
            if index == 0 and not isinstance(checkpoint, UnreadableRowError):
                inside = self._files.partials()
                yield from ((sequence_id, facts) for facts in inside if facts["commit"] == sequence_id)
            yield sequence_id, checkpoint

    def _row(self, sequence_id: int, checkpoint: dict[str, Any]) -> Row | None:
        row = self._rows.at(sequence_id)
        return replace(row, state=row.state.update(checkpoint=checkpoint)) if row is not None else None

    def newest_at(self, accept: Callable[[str], bool]) -> tuple[Row, Path] | None:
        """The newest row that was written after an accepted action, and its checkpoint; both whole."""
        for sequence_id, facts in self._rows.checkpoints():
            if facts is None or isinstance(facts, UnreadableRowError):
                continue
            row = self._rows.at(sequence_id)
            if row is not None and accept(row.position):
                path = self._folder.path / facts["path"]
                return (row, path) if self._files.is_whole(path, facts["sha256"]) else None
        return None

    def checkpoint_of(self, epoch: int) -> str | None:
        """The checkpoint that is there of the end of an epoch, relative to the run's folder."""
        found = self._files.checkpoints()
        own = of_epoch(found, epoch)
        return self._files.relative(found[own]) if own is not None else None

    def go_on_from(self, point: ResumePoint) -> None:
        """Remove what came after a commit and is named by no row; rows to come refer to this one."""
        remove_torn_files(self._folder.path)
        remove_torn_files(self._folder.checkpoints)
        for name, path in self._files.checkpoints().items():
            if path == point.checkpoint:
                continue
            if name.commit > point.newest_sequence_id or (
                name.batch is not None and name.commit == point.newest_sequence_id
            ):
                self._files.remove(path)
        inside = read_partial(self._folder.path)
        if inside is not None and inside["commit"] < point.newest_sequence_id:
            remove_partial(self._folder.path)
        if point.row is not None:
            self._rows.go_on_from(point.row)
