"""Forking a run: a new one begins where an epoch of it ended, and shares its checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from burr.core import State

from ..commits.checkpoints import CheckpointName, of_epoch
from ..commits.files import sha256
from ..commits.giving import give
from ..commits.run_files import RunFiles
from ..errors import BurrLightningError, EpochNotForkableError, ForkError, RunExistsError
from ..launch import fork_launch
from ..layout import RunFolder, RunInfo, checked_run_id, flush
from ..locks import RunLock
from ..rows import Row, StateRows
from ..state import is_at_fork, parent_of, short
from .family import parent_info
from .fork_hparams import checked_hparams

Epoch = int | Literal["best", "last"]


@dataclass(frozen=True)
class ForkRequest:
    """A run that is to be forked, and the fork that is wanted of it."""

    folder: RunFolder
    info: RunInfo
    rows: StateRows
    epoch: Epoch
    run_id: str
    hparams: Mapping[str, Any]
    known: Mapping[str, Any]
    """Hyperparameters of the run that its module has not saved."""

    @cached_property
    def files(self) -> RunFiles:
        """The run's files, in the copy too."""
        return RunFiles.of_stored(self.folder, self.info, self.rows)

    @property
    def call(self) -> str:
        """The call, as the user wrote it."""
        hparams = f", hparams={self.hparams!r}" if self.hparams else ""
        return f"Run({self.info.run_id!r}).fork(epoch={self.epoch!r}, run_id={self.run_id!r}{hparams})"


def forkable_epochs(files: RunFiles, info: RunInfo, rows: StateRows) -> list[int]:
    """The epochs that were committed and whose checkpoint is there, in order.

    Of a fork, none that was its parent's alone. A checkpoint has no row yet while it is being committed, and
    never where the process was killed between the two.
    """
    newest = rows.newest_sequence_id()
    there = _checkpoints(files, info)
    return sorted({name.epoch for name in there if newest is not None and name.commit <= newest})


def fork(wanted: ForkRequest, rows_of_fork: StateRows, newest: Row | None) -> RunFolder:
    """Make a fork: its checkpoints, then its rows, then the file that makes it a run.

    One that was cut off is no run yet, and can be made again.

    Args:
        wanted: What is to be forked.
        rows_of_fork: Where the fork's rows go.
        newest: The newest row of the run.

    Returns:
        The folder of the new run.

    Raises:
        RunIdError: If the name cannot name a folder.
        RunExistsError: If there is a run of that name.
        EpochNotForkableError: If the epoch's checkpoint is not there, or damaged.
        UnknownHparamError: If a hyperparameter is one that the run does not have.
        ForkError: If a hyperparameter is of another kind than the run's.
    """
    folder = RunFolder(wanted.folder.root, wanted.folder.project, checked_run_id(wanted.run_id, wanted.call))
    if folder.info() is not None:
        raise RunExistsError(wanted.call, wanted.run_id, str(folder.path))
    row = _row_of(wanted, newest)
    state = _state_of_fork(wanted, row)
    try:
        _make(wanted, folder, rows_of_fork, row, state)
    except OSError as error:
        if isinstance(error, BurrLightningError):
            raise
        raise ForkError(
            f"{wanted.call}: {error}. No run was made. See that {folder.path} can be written, and give the "
            f"same command again."
        ) from error
    return folder


def _make(
    wanted: ForkRequest, folder: RunFolder, rows_of_fork: StateRows, row: Row, state: State[Any]
) -> None:
    folder.create()
    lock = RunLock(folder.lock, wanted.run_id)
    lock.acquire()
    try:
        if folder.info() is not None:  # another process was faster
            raise RunExistsError(wanted.call, wanted.run_id, str(folder.path))
        _give_checkpoints(wanted, folder, row)
        changed = {key: state[key] for key in ("fork", "hparams", "changed_hparams")}
        wanted.rows.copy_to(rows_of_fork, row.sequence_id, **changed)
        folder.write_info(_info_of_fork(wanted, state))
        flush(folder.path)
        # It names a process that never trained the fork: without it a worker leaves the fork to the user.
        folder.lock.unlink()
    finally:
        lock.release()


def _checkpoints(files: RunFiles, info: RunInfo) -> dict[CheckpointName, Path]:
    first = info.parent["sequence_id"] if info.parent else 0
    return {
        name: path
        for name, path in files.checkpoints().items()
        if name.batch is None and not name.weights and name.commit >= first
    }


def _row_of(wanted: ForkRequest, newest: Row | None) -> Row:
    """The row of the commit at the end of the epoch."""
    there = _checkpoints(wanted.files, wanted.info)
    available = {*forkable_epochs(wanted.files, wanted.info, wanted.rows)}
    epoch = _epoch(wanted, newest, available)
    name = of_epoch(there, epoch)
    row = wanted.rows.at(name.commit) if name is not None else None
    if name is None or row is None or row.state["checkpoint"] is None:
        why = f"epoch {epoch}: {_why_not(wanted, epoch, newest)}"
        raise EpochNotForkableError(wanted.call, epoch, why, available - {epoch})
    return row


def _why_not(wanted: ForkRequest, epoch: int, newest: Row | None) -> str:
    parent = wanted.info.parent
    if parent is not None and 0 <= epoch < parent["epoch"]:
        is_there = parent_info(wanted.folder, wanted.info) is not None
        then = "so fork that run" if is_there else "which is deleted"
        return f"{parent['run_id']!r} has trained it, {then}"
    done = newest is not None and 0 <= epoch <= newest.state["epoch"]
    return "its checkpoint was pruned" if done else "the run has not trained it"


def _epoch(wanted: ForkRequest, newest: Row | None, available: set[int]) -> int:
    if isinstance(wanted.epoch, int) and not isinstance(wanted.epoch, bool):
        return wanted.epoch
    if wanted.epoch == "last" and available:
        return max(available)
    best = newest.state["best"] if newest is not None else None
    if wanted.epoch == "best" and best is not None:
        return int(best["epoch"])
    if wanted.epoch in ("best", "last"):
        why = (
            "no epoch has been committed yet"
            if not available
            else "no epoch is the best: nothing is monitored"
        )
        raise EpochNotForkableError(wanted.call, None, why, available)
    raise ForkError(f"{wanted.call}: an epoch is a number from 0 on, 'best' or 'last'.")


def _give_checkpoints(wanted: ForkRequest, folder: RunFolder, row: Row) -> None:
    """The checkpoint of the commit, and those before it that are there: the machine may go back to them."""
    named, best = row.state["checkpoint"], row.state["best"]
    wanted.files.fetched(wanted.folder.path / named["path"], named["sha256"])
    if best is not None and best["checkpoint"] is not None:
        wanted.files.fetched(wanted.folder.path / best["checkpoint"])
    for path in wanted.folder.checkpoints.iterdir():
        name = CheckpointName.parse(path)
        if name is not None and name.batch is None and name.commit <= row.sequence_id:
            with suppress(FileNotFoundError):  # pruned by the run itself, which may be training
                give(path, folder.checkpoints / path.name)
    if not (folder.path / named["path"]).exists():
        raise _damaged(wanted, named, "its checkpoint was pruned")
    if sha256(folder.path / named["path"]) != named["sha256"]:
        raise _damaged(wanted, named, f"its checkpoint {named['path']} is damaged")
    flush(folder.checkpoints)


def _damaged(wanted: ForkRequest, named: Mapping[str, Any], why: str) -> EpochNotForkableError:
    others = {*forkable_epochs(wanted.files, wanted.info, wanted.rows)} - {named["epoch"]}
    return EpochNotForkableError(wanted.call, named["epoch"], f"epoch {named['epoch']}: {why}", others)


def _state_of_fork(wanted: ForkRequest, row: Row) -> State[Any]:
    state = row.state
    known = {**wanted.known, **state["hparams"]}
    new = checked_hparams(wanted.hparams, known, wanted.call)
    parent = {"run_id": wanted.info.run_id, "epoch": state["epoch"], "sequence_id": row.sequence_id}
    parent["checkpoint"] = state["checkpoint"]["path"]
    untold = state["fork"] if is_at_fork(state) else {"hparams": {}, "old": {}}
    to_tell = {**untold["hparams"], **new}
    old = {**{name: known[name] for name in new if name in known}, **untold["old"]}
    changed = {**(state["changed_hparams"] or {}), **new}
    return state.update(
        fork={
            **parent,
            "hparams": to_tell,
            "old": old,
            "changed": {name: known.get(name) for name in new},
        },
        hparams={**known, **short(new)},
        changed_hparams=changed or None,
    )


def _info_of_fork(wanted: ForkRequest, state: State[Any]) -> RunInfo:
    run_id = wanted.run_id
    return replace(
        wanted.info,
        run_id=run_id,
        tracker=None,
        created=time.time(),
        launch=fork_launch(wanted.info.launch, wanted.info.run_id, run_id),
        job=None,
        study=None,
        copied_to=None,
        parent={**(parent_of(state) or {}), "created": wanted.info.created},
    )
