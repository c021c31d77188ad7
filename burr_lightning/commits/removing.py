"""Deleting the copy of a run at a URL."""

from __future__ import annotations

from pathlib import Path

from .checkpoints import CheckpointName
from .partial import PARTIAL
from .remote import RemoteFiles


def remove_copy(url: str, run_id: str) -> None:
    """Delete what runs write at a URL, and nothing that somebody else has put there.

    Args:
        url: The run's folder there.
        run_id: The run.

    Raises:
        CopyError: If it could not be deleted.
    """
    remote = RemoteFiles(url, run_id, patience=0)
    names = [name for name in remote.names("checkpoints") if CheckpointName.parse(Path(name)) is not None]
    for name in [*(f"checkpoints/{name}" for name in names), PARTIAL, "run.json"]:
        remote.remove(name)
    for folder in ("checkpoints", ""):
        remote.remove_folder(folder)
