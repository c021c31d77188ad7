"""What deleting files frees: one that another run shares frees nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path


class Freed:
    """What deleting files frees, each file counted once, and only where all its names are among them.

    Args:
        paths: The files.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._names: Counter[tuple[int, int]] = Counter()
        self._counted: set[tuple[int, int]] = set()
        for path in paths:
            if (status := _status(path)) is not None:
                self._names[status.st_dev, status.st_ino] += 1

    def of(self, path: Path) -> int:
        """Bytes that one of them frees, 0 where its file stays or was counted already."""
        status = _status(path)
        if status is None:
            return 0
        file = status.st_dev, status.st_ino
        if file in self._counted or self._names[file] < status.st_nlink:
            return 0
        self._counted.add(file)
        return status.st_size


def files_in(folder: Path) -> Iterator[Path]:
    """All files in a folder, at any depth; links are files and are not followed."""
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        yield from (Path(place, name) for name in [*names, *links])


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None
