"""Which stored runs there are, and which of them a name means."""

from __future__ import annotations

from pathlib import Path

from .errors import RunNotFoundError
from .layout import RunFolder, RunInfo, run_folders


def known_runs(root: Path, project: str | None) -> dict[RunFolder, RunInfo]:
    """All runs of a project, or of all projects, with what their folders say."""
    return {folder: info for folder in run_folders(root, project) if (info := folder.info())}


def meant_runs(known: dict[RunFolder, RunInfo], wanted: str) -> list[RunFolder]:
    """The runs that a name may mean: an id, ``latest``, or a beginning of an id."""
    meant = [folder for folder in known if folder.run_id == wanted]
    if not meant and wanted == "latest" and known:
        meant = [max(known, key=lambda folder: known[folder].created)]
    if not meant and wanted:
        meant = [folder for folder in known if folder.run_id.startswith(wanted)]
    return meant


def only_run(
    meant: list[RunFolder], known: dict[RunFolder, RunInfo], wanted: str, root: Path
) -> tuple[RunFolder, RunInfo]:
    """The one run that is meant.

    Raises:
        RunNotFoundError: If there is none, or more than one.
    """
    if len(meant) != 1:
        names = [f"{folder.project}/{folder.run_id}" for folder in meant or known]
        raise RunNotFoundError(wanted, names, str(root), several=bool(meant))
    return meant[0], known[meant[0]]
