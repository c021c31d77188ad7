"""Checkpoints that are folders: written by several processes, whole or absent like a file."""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..layout import flush
from .files import files_of, sha256, temporary_of


@dataclass(frozen=True)
class WrittenFolder:
    """A checkpoint that all processes have written into a folder, which nothing names yet."""

    path: Path
    global_step: int
    """Optimizer steps taken."""


def begin_folder(path: Path) -> Path:
    """Make the empty folder that processes write into.

    Args:
        path: Where it is to be in the end.

    Returns:
        Its temporary place.
    """
    temporary = temporary_of(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    return temporary


def begin_parts(checkpoints: Path) -> Path:
    """Make the empty folder that all processes of a training write their parts of one checkpoint into.

    No other has its name: a process that is left over from a killed training, and is still writing, must
    not write into what the next training makes.

    Args:
        checkpoints: Where checkpoints are.
    """
    return begin_folder(checkpoints / f"shards-{uuid.uuid4().hex[:12]}")


def publish_folder(temporary: Path, path: Path) -> str:
    """Put a folder that is written on the disk, and give it its name in one step.

    Args:
        temporary: Where it was written, beside its place.
        path: Its place; what is there is replaced.

    Returns:
        The SHA-256 of the folder, in hexadecimal digits.
    """
    for file in files_of(temporary):
        flush(file)
    for place, _, _ in os.walk(temporary, topdown=False):
        flush(Path(place))
    digest = sha256(temporary)
    if path.exists():
        remove_checkpoint(path)
    os.rename(temporary, path)
    flush(path.parent)
    return digest


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint, a file or a folder; nothing happens where it is not there.

    A folder loses its name first: whoever is killed meanwhile leaves nothing that looks like a checkpoint.
    """
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    temporary = temporary_of(path)
    shutil.rmtree(temporary, ignore_errors=True)
    with suppress(FileNotFoundError):  # another process was faster
        os.rename(path, temporary)
        flush(path.parent)
        shutil.rmtree(temporary)
