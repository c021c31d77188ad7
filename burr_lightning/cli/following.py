"""A run that is looked at again and again: each look reads what is new, however long the run is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..layout import RunFolder, RunInfo
from ..live_tracker import PhaseProgress, read_progress
from ..locks import holder, is_held
from ..rows import Row
from ..runs import Run, Status
from ..runs.family import KnownInfos
from ..runs.lineage import Lineage
from ..step_log import LoggedStep, StepLog
from ..stored_rows import StoredRows
from ..tracked import place_of
from .taken_warnings import TakenWarnings


@dataclass(frozen=True)
class Look:
    """What one look has found."""

    run: Run
    info: RunInfo
    lineage: Lineage
    """Its relatives."""
    status: Status
    owner: str | None
    """The process that has the run, as it says itself, ``None`` where none has it."""
    steps: list[LoggedStep]
    """The newest steps of its machine, in order; none where no local tracker records them."""
    progress: PhaseProgress | None
    """How far the open phase is."""
    warning: str | None
    """What could not be read as it should, in words."""

    @property
    def open_step(self) -> LoggedStep | None:
        """The action that is under way."""
        newest = self.steps[-1] if self.steps else None
        is_open = newest is not None and newest.step.ended is None and self.owner is not None
        return newest if is_open else None

    @property
    def has_ended(self) -> bool:
        """Whether nothing happens any more until a process goes on with it."""
        return self.owner is None


class FollowedRun:
    """Looks at a run; nothing is written, and no lock is taken.

    Args:
        run: The run.
        persister: The persister that the user gave, as in `Run.open`.
    """

    def __init__(self, run: Run, persister: str | None) -> None:
        self._folder = RunFolder(run.folder.parent.parent, run.project, run.run_id)
        self._persister = persister
        self._info: RunInfo | None = None
        self._place: Path | None = None
        self._others = KnownInfos()
        self._row: Row | None = None
        self._log = StepLog(None)

    def look(self) -> Look:
        """What stands there now.

        Raises:
            FileNotFoundError: If its folder is gone.
        """
        info = self._folder.info()
        if info is None:
            raise FileNotFoundError(f"{self._folder.path / 'run.json'} is gone")
        place = place_of(self._folder, info)
        if (info, place) != (self._info, self._place):
            # Another process goes on with it, from an earlier commit perhaps, or has taken its place.
            self._info, self._place, self._row = info, place, None
            self._log = StepLog(place)
        owner = holder(self._folder.lock) or "a process" if is_held(self._folder.lock) else None
        rows = _NewestRow(self._persister, self._row)
        with TakenWarnings() as warnings, rows:
            run = Run(self._folder, info, rows)
        self._row = rows.known
        steps = self._log.steps()
        progress = read_progress(place, steps[-1].step.sequence_id) if place is not None and steps else None
        warning = run.rows_error or warnings.newest
        lineage = Lineage.of(run, self._folder, info, self._others.info)
        return Look(run, info, lineage, run.status, owner, steps, progress, warning)


class _NewestRow(StoredRows):
    """The newest row of one run, read on from the one before.

    Args:
        given: The persister that the user gave.
        known: The row that was read before.
    """

    def __init__(self, given: str | None, known: Row | None) -> None:
        super().__init__(given, "burr-lightning watch", strict=False)
        self.known = known

    def newest(self, folder: RunFolder, info: RunInfo) -> tuple[Row | None, str | None]:
        """The newest row; where it cannot be read, the one that was read before, and why."""
        row, error = self.read(folder, info, self.known)
        self.known = row or self.known
        return self.known, error
