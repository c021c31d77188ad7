"""Giving a checkpoint to another run, without a copy where the file system can."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

from .files import Stream, write_durably

_BLOCK = 1 << 20


def give(path: Path, to: Path) -> None:
    """Have a file in another place too: the same one by a hard link, else a copy that is on the disk.

    Nothing writes into a checkpoint that is whole, so that two runs can share it; it is gone when both
    have deleted theirs.

    Args:
        path: The file.
        to: Its other place; what is there is replaced.

    Raises:
        OSError: If it is gone, or can be neither linked nor copied.
    """
    to.unlink(missing_ok=True)
    try:
        os.link(path, to)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, one without links, or too many of them
        with open(path, "rb") as file:
            write_durably(to, lambda stream: _copy(file, stream))


def _copy(file: BinaryIO, stream: Stream) -> None:
    shutil.copyfileobj(file, stream, _BLOCK)
