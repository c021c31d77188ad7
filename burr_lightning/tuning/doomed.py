"""What goes with a study that is to be deleted: the runs of its trials, its rows, and its own folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import (
    BurrLightningError,
    NotDeletedError,
    RowsNotDeletedError,
    StudyNotDeletedError,
)
from ..layout import RunFolder, RunInfo, project_folders
from ..persisters import PersisterUrl, opened_to_read
from ..persisters.deleting import count_rows
from ..runs.family import ForksOfProject
from ..storage.doomed import Doomed, doomed, is_emptied, store_of, trackers_of
from ..storage.sizes import Freed, files_in
from .in_use import refuse_run
from .ledger import Ledger
from .looking import only_study
from .reading import best_trials
from .rows import StudyRows
from .runs_of import tracker_of, trials_runs
from .store import StudyFolder, StudyInfo, half_deleted_studies, study_folders
from .trial_record import TrialRecord


@dataclass(frozen=True)
class DoomedStudy:
    """What goes with a study."""

    folder: StudyFolder
    begun: bool
    """Whether it is deleted in part already."""
    unreadable: str | None
    """Why it is not known which trials it has, in words; ``None`` where it is."""
    trials: tuple[Doomed, ...]
    """The runs of its trials that go."""
    keeps: tuple[RunFolder, ...]
    """The runs of its best trials, where they are to stay."""
    files: int
    """How many files of its own go, beside those of its trials."""
    frees: int
    """Bytes of all that goes; a file that a run has too which stays frees none."""
    store: PersisterUrl | None
    """Where its rows are; ``None`` where they are to stay."""
    rows: int
    """How many of its own go."""
    trackers: tuple[Path, ...]
    """The folders of Burr's tracker that are this study's own."""
    kept: dict[Path, str]
    """Those that stay, its own and those of its trials, and why."""
    forks: tuple[str, ...]
    """The runs outside of the study that were forked from one of its trials, and stay as they are."""


def found(wanted: str, root: Path, project: str | None) -> StudyFolder:
    """The study that a name means, those included that are deleted in part or whose file is torn.

    Args:
        wanted: A study's id, a beginning of it that no other study has, or ``latest``.
        root: Where studies are kept.
        project: Its project, ``None`` for any.

    Raises:
        StudyNotFoundError: If no study, or more than one, is meant.
    """
    folders = [*half_deleted_studies(root, project), *study_folders(root, project)]
    emptied = [] if any(folder.study_id == wanted for folder in folders) else _emptied(wanted, root, project)
    known = {folder: _info(folder).created for folder in [*folders, *emptied]}
    return only_study(known, wanted, root)


def doomed_study(
    folder: StudyFolder, persister: str | None, *, keep_rows: bool, keep_best: bool
) -> DoomedStudy:
    """What goes with a study; nothing is changed.

    Args:
        folder: The study's folder.
        persister: The URL that it was run with, password included.
        keep_rows: Whether rows are left where they are.
        keep_best: Whether the runs of the best trials stay, as runs of their own.

    Raises:
        StudyNotDeletedError: If a process runs it or one of its trials, a job of the queue is to start one of
            their runs, or there is no best trial to keep.
        RowsNotDeletedError: If rows are out of reach.
    """
    refuse_run(folder)
    begun = not os.path.lexists(folder.marker)
    run, info = RunFolder(folder.root, folder.project, folder.study_id), _as_run(folder, persister)
    store, rows = _rows(run, info, persister, keep_rows=keep_rows)
    ledger, unreadable = _ledger(folder, run, info, persister)
    keeps = _keeps(folder, ledger, begun=begun) if keep_best else ()
    staying = {kept.run_id for kept in keeps}
    going = [pair for pair in trials_runs(folder, ledger, info.persister) if pair[0].run_id not in staying]
    freed, forks = Freed(), ForksOfProject(folder.root, folder.project)
    trials = _trials(folder, going, persister, freed, forks, keep_rows=keep_rows)
    trackers, kept_trackers = trackers_of(run, info)
    files = [file for place in (folder.path, *trackers) for file in files_in(place)]
    mine = {*staying, *(trial.folder.run_id for trial in trials)}
    return DoomedStudy(
        folder=folder,
        begun=begun,
        unreadable=unreadable,
        trials=trials,
        keeps=keeps,
        files=len(files),
        frees=sum(trial.frees for trial in trials) + sum(map(freed.of, files)),
        store=store,
        rows=rows,
        trackers=trackers,
        kept={path: why for each in (kept_trackers, *(t.kept for t in trials)) for path, why in each.items()},
        forks=tuple(fork for trial in trials for fork in trial.forks if fork not in mine),
    )


def _emptied(wanted: str, root: Path, project: str | None) -> Iterator[StudyFolder]:
    for path in project_folders(root, project):
        run = RunFolder(root, path.name, wanted)
        if wanted and run.path.parent == path and is_emptied(run):
            yield StudyFolder(root, path.name, wanted)


def _info(folder: StudyFolder) -> StudyInfo:
    """What a study's folder says; of one that says nothing, its name."""
    info = folder.info() or folder.info_of_half_deleted()
    return info or StudyInfo(folder.study_id, folder.project, 0.0, [], None, None, {})


def _as_run(folder: StudyFolder, persister: str | None) -> RunInfo:
    """Where the rows and Burr's tracker have a study: as they have a run."""
    info = _info(folder)
    store = info.persister
    if not info.directions and persister is not None:
        store = PersisterUrl.parse(persister, "study delete").stored
    tracker = str(tracker_of(folder))
    return RunInfo(folder.study_id, folder.project, None, tracker, info.created, store)


def _rows(
    run: RunFolder, info: RunInfo, persister: str | None, *, keep_rows: bool
) -> tuple[PersisterUrl | None, int]:
    if keep_rows:
        return None, 0
    try:
        store = store_of(run, info, persister)
        return store, count_rows(store, run.project, run.run_id)
    except RowsNotDeletedError as error:
        raise RowsNotDeletedError(error.run_id, error.store, error.why, error.rule, one="Study") from error


def _ledger(
    folder: StudyFolder, run: RunFolder, info: RunInfo, persister: str | None
) -> tuple[Ledger | None, str | None]:
    """The trials of a study, ``None`` where it has no row, and why they cannot be read."""
    try:
        store = store_of(run, info, persister)
    except RowsNotDeletedError as error:
        return None, str(error.why)
    try:
        opened = opened_to_read(store)
        try:
            row = StudyRows(opened, folder.project, folder.study_id).newest()
        finally:
            if hasattr(opened, "cleanup"):
                opened.cleanup()
    except BurrLightningError as error:
        return None, str(error)
    except Exception as error:  # each kind of persister, and a row by hand, has errors of its own
        return None, store.hide(f"{type(error).__name__}: {' '.join(str(error).split())}")
    return (None if row is None else row.state["ledger"]), None


def _keeps(folder: StudyFolder, ledger: Ledger | None, *, begun: bool) -> tuple[RunFolder, ...]:
    """The runs of the best trials.

    Raises:
        StudyNotDeletedError: If there is none, and the deletion was not begun before.
    """
    best: Sequence[TrialRecord] = () if ledger is None else best_trials(ledger)
    runs = (RunFolder(folder.root, folder.project, trial.run_id) for trial in best)
    keeps = tuple(run for run in runs if run.marker.exists())
    if keeps or begun:
        return keeps
    why = f"the best trial, {best[0].number}, has no run" if best else "no trial is known to have a value"
    raise StudyNotDeletedError(folder.study_id, f"{why}, so none can be kept. Leave --keep-best out.")


def _trials(
    study: StudyFolder,
    runs: Sequence[tuple[RunFolder, RunInfo]],
    persister: str | None,
    freed: Freed,
    forks: ForksOfProject,
    *,
    keep_rows: bool,
) -> tuple[Doomed, ...]:
    try:
        return tuple(
            doomed(*run, persister, keep_rows=keep_rows, freed=freed, forks_of=forks.of) for run in runs
        )
    except NotDeletedError as error:
        raise StudyNotDeletedError(study.study_id, f"its run {error.run_id!r}: {error.why}") from error
