"""The commit protocol: a checkpoint that is whole on disk, then the row that names it, then pruning."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from burr.core import State

from ..commit_times import CommitTimes
from ..errors import CommitError, CopyError
from ..rows import StateRows
from ..state import committed
from .checkpoints import CheckpointName, Checkpoints
from .folders import WrittenFolder
from .kept import KeptCheckpoints
from .partial import remove_partial, write_partial
from .retention import unwanted
from .run_files import RunFiles
from .writing import Digests, Write, write_now

log = logging.getLogger(__name__)

_NOT_WEIGHTS = frozenset({"callbacks", "optimizer_states", "lr_schedulers", "burr_lightning"})

Content = Mapping[str, Any] | WrittenFolder
"""A checkpoint: what it holds, or where all ranks have written their parts of it."""


@dataclass
class _Commit:
    """A commit whose checkpoint is on its way to the disk."""

    state: State[Any]
    facts: dict[str, Any]
    path: Path
    written: Future[Digests]
    rows: list[tuple[int, str, State[Any]]] = field(default_factory=list)
    """The rows that may be written once the checkpoint is whole."""


class Committer:
    """Makes the commits of one run.

    Args:
        files: The run's files.
        rows: The run's rows.
        keep: When commits are made, and which checkpoints are kept.
        newest_row: The newest step that has a row, ``None`` where the run is new.
    """

    def __init__(
        self, files: RunFiles, rows: StateRows, keep: Checkpoints, newest_row: int | None = None
    ) -> None:
        self.keep = keep
        self.times = CommitTimes(files.folder.path)
        self._files, self._folder, self._rows = files, files.folder, rows
        self._write: Write = write_now
        if keep.asynchronous:
            from .background import BackgroundWriter  # here, for it needs torch

            self._write = BackgroundWriter()
        self._pending: _Commit | None = None
        self.facts: dict[str, Any] | None = None
        """Of the newest checkpoint that is whole on disk."""
        self._newest_row = newest_row

    @property
    def is_writing(self) -> bool:
        """Whether there is a commit whose checkpoint may still be on its way to the disk."""
        return self._pending is not None

    @property
    def checkpoints(self) -> Path:
        """The folder that they are in."""
        return self._folder.checkpoints

    @property
    def has_ended(self) -> bool:
        """Whether there is one that is written by now, or that could not be."""
        return self._pending is not None and self._pending.written.done()

    @property
    def kept_checkpoints(self) -> KeptCheckpoints:
        """The checkpoints that are there."""
        return KeptCheckpoints(self._files)

    def commit(
        self,
        sequence_id: int,
        position: str,
        state: State[Any],
        content: Content | None,
        *,
        acted: bool = False,
    ) -> None:
        """Make what has happened up to a boundary durable.

        The order is the promise: the checkpoint is whole on disk before the row names it, and
        nothing is deleted before the row is written.

        Args:
            sequence_id: The step of the machine that has run.
            position: Its action.
            state: The state after it.
            content: The checkpoint; ``None`` where the trainer has not changed since the commit
                before, whose checkpoint the row then names.
            acted: Whether an action has changed the training since the epoch ended.

        Raises:
            CommitError: If this checkpoint, or the one before it, could not be written.
            CopyError: If it could not be copied.
        """
        if content is not None:
            name = CheckpointName(sequence_id, state["epoch"], state["global_step"], acted=acted)
            state = self._begin(name, state, content, {"acted": True} if acted else {}).state
        if self._pending is None:
            self._save_row(sequence_id, position, state)
        else:
            self._pending.rows.append((sequence_id, position, state))
            self.settle(wait=not self.keep.asynchronous)

    def commit_inside_epoch(
        self,
        sequence_id: int,
        position: str,
        state: State[Any],
        content: Content,
        place: dict[str, Any],
    ) -> None:
        """Make what has happened inside an epoch durable.

        The machine stands where it stood at the boundary before; only the checkpoint is newer.

        Args:
            sequence_id: The step of the machine that ran last.
            position: Its action.
            state: The state after it.
            content: The checkpoint.
            place: Where in the epoch it is: ``epoch``, ``batch`` (how many are done), and
                ``first_batch``, the first one of the phase that is open.

        Raises:
            CommitError: If this checkpoint, or the one before it, could not be written.
            CopyError: If it could not be copied.
        """
        step = content.global_step if isinstance(content, WrittenFolder) else content["global_step"]
        name = CheckpointName(sequence_id, place["epoch"], step, place["batch"])
        pending = self._begin(name, state, content, place)
        if self._newest_row != sequence_id:
            pending.rows.append((sequence_id, position, pending.state))
        self.settle(wait=not self.keep.asynchronous)

    def settle(self, *, wait: bool) -> None:
        """Finish the commit whose checkpoint was being written, if it is whole by now.

        Args:
            wait: Whether to wait until it is.

        Raises:
            CommitError: If the checkpoint could not be written. It is raised where that is waited for.
            CopyError: If it could not be copied; likewise.
        """
        pending = self._pending
        if pending is None or not (wait or _succeeded(pending.written)):
            return
        self._pending = None
        try:
            digests = pending.written.result()
        except OSError as error:
            raise CommitError(self._folder.run_id, pending.path, error) from error
        facts = {**pending.facts, **self._digests_in(digests, pending.facts)}
        named = committed(pending.state, facts)
        for sequence_id, position, state in pending.rows:
            self._save_row(
                sequence_id, position, named if state is pending.state else committed(state, facts)
            )
        # Only now: a checkpoint without its row is nothing that a run goes on from.
        self.facts = facts
        if "batch" in facts:
            write_partial(self._folder.path, facts)
        else:
            remove_partial(self._folder.path)
        self.prune(named)

    def named(self, state: State[Any]) -> State[Any]:
        """A state that names the newest checkpoint, once that is whole."""
        return committed(state, self.facts) if self.facts is not None else state

    def _begin(
        self, name: CheckpointName, state: State[Any], content: Content, place: dict[str, Any]
    ) -> _Commit:
        self.settle(wait=True)
        # What was being written until now may be the best epoch's own.
        state = self.named(state)
        path = self._folder.checkpoints / str(name)
        contents: dict[Path, Any] = {path: content}
        facts = {"path": self._relative(path), "epoch": name.epoch, "commit": name.commit, **place}
        is_end = not place and not name.acted
        if not isinstance(content, WrittenFolder) and is_end and self._keeps_weights_of(state):
            weights = self._folder.checkpoints / str(name.of_weights())
            contents[weights] = {key: value for key, value in content.items() if key not in _NOT_WEIGHTS}
            facts["weights"] = self._relative(weights)
        try:
            written = self._write(contents, lambda digests: self._copy(digests, facts))
        except OSError as error:
            raise CommitError(self._folder.run_id, path, error) from error
        self._pending = _Commit(state, facts, path, written)
        return self._pending

    def _copy(self, digests: Digests, facts: Mapping[str, Any]) -> None:
        """Have at the URL what the row, or what stands for one inside an epoch, will name."""
        if self._files.remote is None:
            return
        for path in digests:
            self._files.put(path)
        if "batch" in facts:
            self._files.put_partial({**facts, **self._digests_in(digests, facts)})

    def _digests_in(self, digests: Digests, facts: Mapping[str, Any]) -> dict[str, str]:
        found = {"sha256": digests[self._folder.path / facts["path"]]}
        if "weights" in facts and self._files.remote is not None:
            found["weights_sha256"] = digests[self._folder.path / facts["weights"]]
        return found

    def bring_best(self, state: State[Any]) -> None:
        """Have the best epoch's checkpoint here, where it is only in the copy, for ``ckpt_path="best"``."""
        best = state["best"]
        path = self._folder.path / best["checkpoint"] if best and best["checkpoint"] else None
        if path is None or path.exists():
            return
        try:
            self._files.fetched(path)
        except CopyError as error:
            log.warning("The best epoch's checkpoint stays at %s alone: %s", error.url, error)

    def close(self) -> None:
        """Let the files go."""
        self._files.close()

    def _keeps_weights_of(self, state: State[Any]) -> bool:
        best = state["best"]
        return self.keep.save_weights_only_best and best is not None and best["epoch"] == state["epoch"]

    def _save_row(self, sequence_id: int, position: str, state: State[Any]) -> None:
        self._rows.save(sequence_id, position, state)
        self._newest_row = sequence_id

    def _relative(self, path: Path) -> str:
        return self._files.relative(path)

    def prune(self, state: State[Any]) -> None:
        """Delete what the policy no longer wants; a kill may have come between a row and this."""
        for path in unwanted(self._files, self.keep, state):
            self._files.remove(path)


def _succeeded(written: Future[Digests]) -> bool:
    return written.done() and written.exception() is None
