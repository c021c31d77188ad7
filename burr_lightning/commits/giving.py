"""Giving a checkpoint to another run, without a copy where the file system can."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

from .files import Stream, files_of, write_durably
from .folders import begin_folder, publish_folder, remove_checkpoint

_BLOCK = 1 << 20


def give(path: Path, to: Path) -> None:
    """Have a checkpoint in another place too: the same files by hard links, else copies on the disk.

    Nothing writes into a checkpoint that is whole, so that two runs can share it; it is gone when both
    have deleted theirs.

    Args:
        path: The file or folder.
        to: Its other place; what is there is replaced.

    Raises:
        OSError: If it is gone, or can be neither linked nor copied.
    """
    remove_checkpoint(to)
    if path.is_dir():
        temporary = begin_folder(to)
        try:
            for file in files_of(path):
                place = temporary / file.relative_to(path)
                place.parent.mkdir(parents=True, exist_ok=True)
                _give_file(file, place)
            publish_folder(temporary, to)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    else:
        _give_file(path, to)


def _give_file(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, one without links, or too many of them
        with open(path, "rb") as file:
            write_durably(to, lambda stream: _copy(file, stream))


def _copy(file: BinaryIO, stream: Stream) -> None:
    shutil.copyfileobj(file, stream, _BLOCK)
