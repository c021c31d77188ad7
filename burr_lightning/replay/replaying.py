"""Having one epoch of a run trained again, in a process of its own, on a copy of the run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..commits.files import is_whole
from ..commits.run_files import RunFiles
from ..errors import EpochNotReplayableError, ReplayError
from ..layout import DATABASE, REPLAY_VARIABLE, RUN_ID_VARIABLE, RunFolder, RunInfo
from ..persisters.sqlite import open_sqlite
from ..rows import Row, StateRows, StoredRow
from ..runs import Run
from ..storage.weights import folder_of
from .compare import Comparison, compare, load
from .task import ReplayFolder, ReplayTask

_TAIL = 20
"""Lines of a command's output that are shown when it fails."""


@dataclass(frozen=True)
class Replayed:
    """An epoch that was trained again."""

    run_id: str
    project: str
    epoch: int
    after: int | None
    """The epoch whose commit it was trained from, ``None`` from the start of the script."""
    comparison: Comparison


def replay(
    run: Run,
    epoch: int,
    command: Sequence[str],
    ignore: Collection[str] = (),
    say: Callable[[str], object] = print,
) -> Replayed:
    """Train an epoch again from the commit before it, and compare the result with the commit after it.

    The run is only read: the command works on a copy in a temporary folder, and is ended after the
    epoch's commit.

    Args:
        run: The run.
        epoch: The epoch, 0-based. One that has no commit before it is trained from the script's start.
        command: What trains the run, as ``["python", "train.py"]``.
        ignore: Names of what is not compared, as a `Difference` says them, with everything inside.
        say: Is told, in a line, when the command starts.

    Raises:
        EpochNotReplayableError: If the commit before the epoch or the one after it is not there.
        ReplayError: If the command did not train the epoch of this run again.
        BurrLightningError: If the run's rows cannot be read.
    """
    with _temporary_folder(run.folder.parents[1]) as path, run.rows() as rows:
        work = _Replay(run, epoch, rows, ReplayFolder(Path(path)))
        work.prepare()
        say(f"Training epoch {epoch} of run {run.run_id} again: {shlex.join(command)}")
        work.train(command)
        return Replayed(run.run_id, run.project, epoch, work.after, work.compared(ignore))


def _temporary_folder(root: Path) -> tempfile.TemporaryDirectory[str]:
    """On the run's own disk, which has room for checkpoints; elsewhere where nothing can be written there."""
    try:
        return tempfile.TemporaryDirectory(prefix=".replay-", dir=root)
    except OSError:
        return tempfile.TemporaryDirectory(prefix="burr-lightning-replay-")


@dataclass
class _EpochEnd:
    """The rows between the end of an epoch and the beginning of the next."""

    rows: list[StoredRow] = field(default_factory=list)

    @property
    def first(self) -> dict[str, Any]:
        """The checkpoint that was made when the epoch ended."""
        assert self.rows[0].checkpoint is not None
        return self.rows[0].checkpoint

    @property
    def last(self) -> dict[str, Any]:
        """The checkpoint that the next epoch began from: an action in between may have made one."""
        assert self.rows[-1].checkpoint is not None
        return self.rows[-1].checkpoint


def _epoch_ends(rows: StateRows) -> dict[int, _EpochEnd]:
    """What was committed at the end of each epoch; of an epoch that a resume trained anew, the newest."""
    found: dict[int, _EpochEnd] = {}
    newest = rows.newest_sequence_id()
    for sequence_id in range(newest + 1 if newest is not None else 0):
        row = rows.stored(sequence_id)
        if row is None or row.checkpoint is None or row.checkpoint["epoch"] != row.epoch:
            continue
        known = found.get(row.epoch)
        if known is None or max(found) != row.epoch or row.position == known.rows[0].position:
            found = {epoch: end for epoch, end in found.items() if epoch < row.epoch}
            found[row.epoch] = known = _EpochEnd()
        known.rows.append(row)
    return found


class _Replay:
    def __init__(self, run: Run, epoch: int, rows: StateRows, folder: ReplayFolder) -> None:
        self._run, self._epoch, self._rows, self._folder = run, epoch, rows, folder
        self._original = folder.path / "original.ckpt"
        self._copy = RunFolder(folder.path, run.project, run.run_id)
        self._ends = _epoch_ends(rows)
        self.after = max((before for before in self._ends if before < epoch), default=None)

    def prepare(self) -> None:
        """Copy the run as it was before the epoch."""
        if self._epoch not in self._ends:
            raise self._refusal("no commit was made when it ended")
        self._copy.create()
        self._take(self._ends[self._epoch].first, self._original)
        if self.after is not None:
            self._copy_commit(self._ends[self.after])
        self._folder.write_task(ReplayTask(self._run.run_id, self._run.project, self._epoch))

    def _copy_commit(self, end: _EpochEnd) -> None:
        self._take(end.last, self._copy.path / end.last["path"])
        with open_sqlite(self._folder.path / DATABASE) as persister:
            copied = StateRows(persister, self._run.project, self._run.run_id)
            for stored in end.rows:
                if stored.checkpoint == end.last:
                    row = _row(self._rows, stored.sequence_id)
                    copied.save(row.sequence_id, row.position, row.state)
        info = RunInfo(self._run.run_id, self._run.project, None, None, self._run.created.timestamp())
        self._copy.write_info(info)

    def _take(self, checkpoint: dict[str, Any], to: Path) -> None:
        """Link or copy a checkpoint, so that it stays when the run, which may be training, prunes it."""
        path, folder = self._run.folder / checkpoint["path"], folder_of(self._run)
        if path.is_dir():
            raise self._refusal(f"{path.name} is a folder of parts, and those are not compared")
        RunFiles.of_stored(folder, folder.info()).fetched(path, checkpoint["sha256"])
        try:
            _link_or_copy(path, to)
        except FileNotFoundError:
            raise self._refusal(f"{path} was pruned, or deleted") from None
        if not is_whole(to, checkpoint["sha256"]):
            raise self._refusal(f"{path} is damaged")

    def _refusal(self, why: str) -> EpochNotReplayableError:
        there = {epoch for epoch, end in self._ends.items() if self._is_there(end.first)}
        available = [epoch for epoch in there if self._start_is_there(epoch)]
        return EpochNotReplayableError(self._run.run_id, self._epoch, why, available)

    def _start_is_there(self, epoch: int) -> bool:
        before = max((other for other in self._ends if other < epoch), default=None)
        return before is None or self._is_there(self._ends[before].last)

    def _is_there(self, checkpoint: dict[str, Any]) -> bool:
        return is_whole(self._run.folder / checkpoint["path"], checkpoint["sha256"])

    def train(self, command: Sequence[str]) -> None:
        """Run the command until the epoch is committed.

        Raises:
            ReplayError: If it ends otherwise.
        """
        output = self._folder.path / "output.txt"
        environment = {
            **os.environ,
            REPLAY_VARIABLE: str(self._folder.path),
            RUN_ID_VARIABLE: self._run.run_id,
        }
        with open(output, "wb") as file:
            try:
                done = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    check=False,
                )
            except OSError as error:
                raise ReplayError(f"{shlex.join(command)}: it cannot be started ({error}).") from error
        if not self._is_committed():
            lines = output.read_text(errors="replace").splitlines()[-_TAIL:]
            raise ReplayError(self._why_not(shlex.join(command), done.returncode), "\n".join(lines))

    def _is_committed(self) -> bool:
        with open_sqlite(self._folder.path / DATABASE) as persister:
            return self._epoch in _epoch_ends(StateRows(persister, self._copy.project, self._copy.run_id))

    def _why_not(self, command: str, code: int) -> str:
        run, report = f"run {self._run.run_id!r} of project {self._run.project!r}", self._folder.report()
        if report is not None and (report.run_id, report.project) != (self._run.run_id, self._run.project):
            return (
                f"{command}: it fits run {report.run_id!r} of project {report.project!r}, not {run}. Nothing "
                f"was trained. Give the command that trains {run}; a BurrCallback without a run_id takes the "
                f"right one by itself."
            )
        if code:
            ended = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
            return f"{command}: it {ended} before epoch {self._epoch} was committed again. It printed last:"
        if report is None:
            return f"{command}: it ended without a fit with BurrCallback. It printed last:"
        return (
            f"{command}: it ended before epoch {self._epoch} was committed again. Do its limits, as "
            f"Trainer(max_epochs=...), let it train that epoch? It printed last:"
        )

    def compared(self, ignore: Collection[str]) -> Comparison:
        """Compare the run's commit with the one that was made now."""
        with open_sqlite(self._folder.path / DATABASE) as persister:
            again = StateRows(persister, self._copy.project, self._copy.run_id)
            end = _epoch_ends(again)[self._epoch]
            replayed = _committed(again, end, self._copy.path / end.first["path"])
        original = _committed(self._rows, self._ends[self._epoch], self._original)
        report = self._folder.report()
        return compare(original, replayed, {*ignore, *(report.ignored if report else ())})


def _committed(rows: StateRows, end: _EpochEnd, checkpoint: Path) -> dict[str, Any]:
    """Everything that was committed when an epoch ended: the checkpoint, and the metrics of its row."""
    state = _row(rows, end.rows[0].sequence_id).state
    epoch, best = state["epoch"], state["best"]
    history = state["history"].chunk(0)
    return {
        **load(checkpoint),
        "metrics": dict(state["metrics"]),
        "history": [
            dict(zip(history["names"], values, strict=True))
            for number, _, values, *_ in history["checks"]
            if number == epoch
        ],
        "best": {"epoch": best["epoch"], "value": best["value"]} if best else None,
    }


def _row(rows: StateRows, sequence_id: int) -> Row:
    row = rows.at(sequence_id)
    assert row is not None, f"row {sequence_id} was there a moment ago"
    return row


def _link_or_copy(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, to)
