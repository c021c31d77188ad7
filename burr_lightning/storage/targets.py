"""The files that something of a run is written to: whole or absent, and never over another by accident."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..commits.files import Stream, write_durably
from ..errors import ExistsError, ExportError


def refuse_existing(path: Path, *, force: bool) -> None:
    """See that a file can be written where it is to be.

    Raises:
        ExistsError: If it is there, and is not to be replaced.
        ExportError: If a folder is there, or the folder that it is to be in is not.
    """
    if path.is_dir():
        raise ExportError(f"{path} is a folder. Give the name of a file in it.")
    if not path.parent.is_dir():
        raise ExportError(f"{path.parent} is no folder. Make it first, or give another file.")
    if path.exists() and not force:
        raise ExistsError(path)


def write_target(path: Path, write: Callable[[Stream], object]) -> None:
    """Write a file under a temporary name beside it, and rename it when it is whole on the disk.

    Raises:
        ExportError: If it cannot be written.
    """
    try:
        write_durably(path, write)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written ({error}). Make room or access there, or give another file."
        ) from error
