"""Folders of runs that have lost the file which makes them runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..commits.checkpoints import CheckpointName
from ..layout import RunFolder, project_folders


def unmarked_runs(root: Path, project: str | None) -> Iterator[RunFolder]:
    """The folders of runs without a ``run.json``, in all projects or in one.

    Args:
        root: The folder that holds all runs; other folders may be in it.
        project: The project.
    """
    for path in sorted(path for folder in project_folders(root, project) for path in folder.glob("*/")):
        folder = RunFolder(root, path.parent.name, path.name)
        if is_unmarked(folder):
            yield folder


def is_unmarked(folder: RunFolder) -> bool:
    """Whether a folder is that of a run whose ``run.json`` is gone, and nothing of somebody else's.

    It has a checkpoint of ours, or the place for them with the lock that every training leaves.
    """
    if folder.path.parent.name.startswith(".") or not folder.checkpoints.is_dir():
        return False
    if os.path.lexists(folder.marker) or os.path.lexists(folder.half_deleted):
        return False
    ours = (CheckpointName.parse(path) is not None for path in folder.checkpoints.iterdir())
    return folder.lock.is_file() or any(ours)
