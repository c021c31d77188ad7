"""Which stored runs are those of a study's trials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from burr.tracking import LocalTrackingClient

from ..known_runs import why_unreadable
from ..layout import RunFolder, RunInfo, half_deleted_folders, run_folders
from ..storage.doomed import stored_under
from .ledger import Ledger
from .store import StudyFolder
from .trial_record import TrialRecord


def tracker_of(folder: StudyFolder) -> Path:
    """Where Burr's own tracker keeps a study that is tracked."""
    place = Path(LocalTrackingClient.DEFAULT_STORAGE_DIR).expanduser()
    return place.absolute() / folder.project / folder.study_id


def trials_runs(
    study: StudyFolder, ledger: Ledger | None, persister: str | None
) -> Iterator[tuple[RunFolder, RunInfo]]:
    """The runs of a study's trials, those included that are deleted in part or cannot be opened.

    Args:
        study: The study.
        ledger: Its trials; ``None`` where they are not known: then its runs are those that say so themselves.
        persister: What holds their rows, as the study has it: for those whose own file does not say it.
    """
    if ledger is None:
        yield from ((folder, info) for folder, info in _named_so(study) if info.study == study.study_id)
        return
    parents = {trial.number: trial for trial in ledger}
    for trial in ledger:
        folder = RunFolder(study.root, study.project, trial.run_id)
        info = stored_under(folder)
        if info is None:
            continue
        if why_unreadable(folder) is not None:
            yield folder, replace(info, persister=persister)
        elif info.study == study.study_id or _is_unbegun_fork(trial, parents, info):
            yield folder, info


def _named_so(study: StudyFolder) -> Iterator[tuple[RunFolder, RunInfo]]:
    name = re.compile(re.escape(study.study_id) + r"-\d+")
    found = {*run_folders(study.root, study.project), *half_deleted_folders(study.root, study.project)}
    for folder in sorted(found, key=lambda folder: folder.run_id):
        if name.fullmatch(folder.run_id) and (info := stored_under(folder)) is not None:
            yield folder, info


def _is_unbegun_fork(trial: TrialRecord, trials: dict[int, TrialRecord], info: RunInfo) -> bool:
    """Whether a run was made for a trial of a population, and not trained: that writes down the study."""
    parent = trials.get(trial.parent) if trial.parent is not None else None
    is_fork = parent is not None and info.parent is not None and info.parent["run_id"] == parent.run_id
    # One that has finished may have been kept by an earlier call, and is a run of its own then.
    return is_fork and info.study is None and trial.status != "finished"
