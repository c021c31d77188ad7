"""Which stored runs there are, and which of them a name means."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import IsAStudyError, RunNotFoundError, UnreadableRunError
from .json_types import known
from .layout import LATEST, RunFolder, RunInfo, project_folders, read_json, run_folders


def known_runs(root: Path, project: str | None) -> dict[RunFolder, RunInfo]:
    """All runs of a project, or of all projects, with what their folders say."""
    return {folder: info for folder in run_folders(root, project) if (info := readable_info(folder))}


def unreadable_runs(root: Path, project: str | None) -> dict[RunFolder, str]:
    """The runs of a project, or of all projects, of which no more than the name is known, and why."""
    found = {folder: why_unreadable(folder) for folder in run_folders(root, project)}
    return {folder: why for folder, why in found.items() if why is not None}


def why_unreadable(folder: RunFolder) -> str | None:
    """Why the file that says what a run is tells nothing, in words; ``None`` where it does.

    Args:
        folder: A run, or one that is deleted in part.
    """
    file = next((f for f in (folder.marker, folder.half_deleted) if os.path.lexists(f)), None)
    if file is None:
        return f"its {folder.marker.name} is missing"
    try:
        if known(RunInfo, read_json(file) or {}) is not None:
            return None
    except OSError as error:
        return f"its {file.name} cannot be read ({error.strerror})"
    return f"its {file.name} is torn, or of another version"


def readable_info(folder: RunFolder) -> RunInfo | None:
    """What a run's folder says, ``None`` also where it may not be read: that must hide no other run."""
    try:
        return folder.info()
    except OSError:
        return None


def meant_runs(known: dict[RunFolder, RunInfo], wanted: str) -> list[RunFolder]:
    """The runs that a name may mean: an id, ``latest``, or a beginning of an id."""
    meant = [folder for folder in known if folder.run_id == wanted]
    if not meant and wanted == LATEST and known:
        meant = [max(known, key=lambda folder: known[folder].created)]
    if not meant and wanted:
        meant = [folder for folder in known if folder.run_id.startswith(wanted)]
    return meant


def only_run(
    meant: list[RunFolder], known: dict[RunFolder, RunInfo], wanted: str, root: Path
) -> tuple[RunFolder, RunInfo]:
    """The one run that is meant.

    Raises:
        UnreadableRunError: If there is none, and one of that name cannot be opened.
        IsAStudyError: If it is the name of a study.
        RunNotFoundError: If there is none, or more than one.
    """
    if not meant:
        _refuse_unreadable(wanted, root)
    _refuse_study(wanted, root, meant)
    if len(meant) != 1:
        names = [f"{folder.project}/{folder.run_id}" for folder in meant or known]
        raise RunNotFoundError(wanted, names, str(root), several=bool(meant))
    return meant[0], known[meant[0]]


def _refuse_unreadable(wanted: str, root: Path) -> None:
    for folder, why in unreadable_runs(root, None).items():
        if folder.run_id == wanted:
            raise UnreadableRunError(wanted, folder.project, str(root), why)


def _refuse_study(wanted: str, root: Path, meant: list[RunFolder]) -> None:
    """Where it begins the name of one run only, that may be the only trial of a study of that very name."""
    if not wanted or any(folder.run_id == wanted for folder in meant):
        return
    project = meant[0].project if len(meant) == 1 else None
    for path in project_folders(root, project):
        folder = RunFolder(root, path.name, wanted)
        if folder.study_marker.exists() or folder.half_deleted_study.exists():
            raise IsAStudyError(wanted, path.name, str(root))
