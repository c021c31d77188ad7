"""Files that are whole or absent: flushed to the disk, renamed in one step, known by their digest."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import torch

_BLOCK = 1 << 20


class Stream:
    """A file that is written front to back, while its SHA-256 follows in a thread of its own.

    Nothing of what is written is kept in memory: the thread reads it back from the file, which the
    system still holds.

    Args:
        path: The file; one that is there is overwritten.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self._written: SimpleQueue[int | None] = SimpleQueue()
        self._size = 0
        self._digest = hashlib.sha256()
        self._error: Exception | None = None
        self._follower = threading.Thread(target=self._follow, name="sha256", daemon=True)
        self._follower.start()

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes to the file."""
        left = memoryview(data).cast("B")
        length = len(left)
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._size += length
        self._written.put(self._size)
        return length

    def flush(self) -> None:
        """Have the system put what was written so far on the disk."""
        os.fsync(self._descriptor)

    def digest(self) -> str:
        """The SHA-256 of the whole file, in hexadecimal digits, once all of it is written."""
        self._end()
        if self._error is not None:
            raise self._error
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let the file go."""
        self._end()
        os.close(self._descriptor)

    def _end(self) -> None:
        self._written.put(None)
        self._follower.join()

    def _follow(self) -> None:
        block, done = bytearray(_BLOCK), 0
        try:
            while (size := self._written.get()) is not None:
                while done < size:
                    read = os.preadv(self._descriptor, [memoryview(block)[: size - done]], done)
                    self._digest.update(memoryview(block)[:read])
                    done += read
        except OSError as error:
            self._error = error


def write_durably(path: Path, write: Callable[[Stream], object]) -> str:
    """Have a file written under a temporary name in its own folder, flushed and renamed.

    Args:
        path: Where the file is to be.
        write: Writes it to the stream that it is given.

    Returns:
        The SHA-256 of the file, in hexadecimal digits.
    """
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    try:
        stream = Stream(temporary)
        try:
            write(stream)
            stream.flush()
            digest = stream.digest()
        finally:
            stream.close()
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)
    return digest


_TEMPORARY = ".tmp"


def remove_torn_files(folder: Path) -> None:
    """Remove what a process that was killed while it wrote has left behind."""
    for path in folder.glob(f".*{_TEMPORARY}"):
        path.unlink(missing_ok=True)


def save_tensors(content: Any, stream: Stream) -> None:
    """Write what ``torch.save`` writes, without the check sums per tensor: the digest is one for all."""
    check_sums = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(content, stream)  # type: ignore[arg-type]
    finally:
        torch.serialization.set_crc32_options(check_sums)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def is_whole(path: Path, digest: str) -> bool:
    """Whether a file is there and has this digest."""
    return path.is_file() and sha256(path) == digest


def _blocks(path: Path) -> Iterator[memoryview]:
    block = bytearray(_BLOCK)
    with open(path, "rb", buffering=0) as file:
        while read := file.readinto(block):
            yield memoryview(block)[:read]


def _flush_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
