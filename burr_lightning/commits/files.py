"""Files that are whole or absent: flushed to the disk, renamed in one step, known by their digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

_BLOCK = 1 << 20


def write_durably(path: Path, write: Callable[[Path], None]) -> str:
    """Have a file written under a temporary name in its own folder, flushed and renamed.

    Args:
        path: Where the file is to be.
        write: Writes it to the path that it is given.

    Returns:
        The SHA-256 of the file, in hexadecimal digits.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        digest = sha256(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)
    return digest


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def is_whole(path: Path, digest: str) -> bool:
    """Whether a file is there and has this digest."""
    return path.is_file() and sha256(path) == digest


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
