"""Which stored runs there are, and which of them a name means."""

from __future__ import annotations

from pathlib import Path

from .errors import RunNotFoundError
from .layout import RunFolder, RunInfo, run_folders


def known_runs(root: Path, project: str | None) -> dict[RunFolder, RunInfo]:
    """All runs of a project, or of all projects, with what their folders say."""
    return {folder: info for folder in run_folders(root, project) if (info := folder.info())}


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
