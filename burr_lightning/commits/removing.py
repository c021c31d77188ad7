"""Deleting the copy of a run at a URL."""

from __future__ import annotations

from pathlib import Path

from .checkpoints import CheckpointName
from .files import temporary_of, without_temporary
from .partial import PARTIAL
from .remote import RemoteFiles

_TORN = {temporary_of(Path(name)).name for name in (PARTIAL, "run.json")}


def remove_copy(url: str, run_id: str) -> None:
    """Delete what runs write at a URL, and nothing that somebody else has put there.

    Args:
        url: The run's folder there.
        run_id: The run.

    Raises:
        CopyError: If it could not be deleted.
    """
    remote = RemoteFiles(url, run_id, patience=0)
    ours = [name for name in remote.names("checkpoints") if _is_ours(name)]
    for name in [*(f"checkpoints/{name}" for name in ours), PARTIAL, "run.json"]:
        remote.remove(name)
    for name in [name for name in remote.names("") if name in _TORN]:
        remote.remove(name)
    for folder in ("checkpoints", ""):
        remote.remove_folder(folder)


def _is_ours(name: str) -> bool:
    """Whether it is a checkpoint, or what a process left of one that was killed."""
    return CheckpointName.parse(Path(without_temporary(name))) is not None
