"""What deleting files frees: one that another run shares frees nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


class Freed:
    """What deleting files frees: the size of each goes to the last of its names that is deleted.

    It is asked for the files in the order in which they go, all runs that go together in one.
    """

    def __init__(self) -> None:
        self._stay: dict[tuple[int, int], int] = {}
        """Of each file, how many of its names are not to be deleted."""

    def of(self, path: Path) -> int:
        """Bytes that deleting this name frees, after all that was asked for; 0 where another name stays."""
        if path.is_dir() and not path.is_symlink():
            return sum(map(self.of, files_in(path)))
        status = _status(path)
        if status is None:
            return 0
        file = status.st_dev, status.st_ino
        self._stay[file] = self._stay.get(file, status.st_nlink) - 1
        return 0 if self._stay[file] else status.st_size


def files_in(folder: Path) -> Iterator[Path]:
    """All files in a folder, at any depth; links are files and are not followed."""
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        yield from (Path(place, name) for name in [*names, *links])


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    files = files_in(path) if path.is_dir() else (path,)
    return sum(status.st_size for file in files if (status := _status(file)) is not None)


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
