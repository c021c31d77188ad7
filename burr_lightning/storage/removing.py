"""Removing folders, file by file, so that whoever is killed meanwhile leaves a rest that is known as one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .sizes import files_in


def remove_folder(folder: Path, last: Iterable[Path]) -> None:
    """Remove a folder with all that is in it.

    Args:
        folder: The folder; nothing happens where it is not there.
        last: The files that say what the folder is, in the order in which they go, after all others.

    Raises:
        OSError: If something cannot be removed.
    """
    last = list(last)
    for path in [*(path for path in files_in(folder) if path not in last)]:
        path.unlink(missing_ok=True)
    for place, folders, _ in os.walk(folder, topdown=False):
        for name in folders:
            Path(place, name).rmdir()
    for path in last:
        path.unlink(missing_ok=True)
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        folder.rmdir()
