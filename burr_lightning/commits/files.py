"""Files that are whole or absent: flushed to the disk, renamed in one step, known by their digest."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

_BLOCK = 1 << 20
_SMALL = 4 << 20


class Stream:
    """A file that is written front to back, and whose SHA-256 is known at its end.

    What is small is hashed as it comes. Of a large file, the hash follows in a thread of its own, which
    reads back what the system still holds, so nothing is kept in memory.

    Args:
        path: The file; one that is there is overwritten.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self._waiting = bytearray()
        self._size = 0
        self._digest = hashlib.sha256()
        self._follower: _Follower | None = None
        self.error: OSError | None = None
        """What kept it from being written: torch.save raises an error of its own over it."""

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes to the file; small pieces, of which torch.save writes many, go there together."""
        view = memoryview(data).cast("B")
        if len(self._waiting) + len(view) > _BLOCK:
            self.flush()
        if len(view) > _BLOCK:
            self._put(view)
        else:
            self._waiting += view
        return len(view)

    def flush(self) -> None:
        """Let the system have what was written so far, as torch.save asks for when it has ended."""
        waiting, self._waiting = self._waiting, bytearray()
        if waiting:
            self._put(memoryview(waiting))

    def _put(self, view: memoryview) -> None:
        left = view
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self.error = error
            raise
        if self._follower is None and self._size + len(view) > _SMALL:
            self._follower = _Follower(self._descriptor, self._digest, self._size)
        self._size += len(view)
        if self._follower is not None:
            self._follower.follow_to(self._size)
        else:
            self._digest.update(view)

    def sync(self) -> None:
        """Have the system put what was written so far on the disk."""
        self.flush()
        os.fsync(self._descriptor)

    def digest(self) -> str:
        """The SHA-256 of the whole file, in hexadecimal digits, once all of it is written."""
        self.flush()
        if self._follower is not None:
            self._follower.end()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let the file go."""
        if self._follower is not None:
            self._follower.stop()
        os.close(self._descriptor)


class _Follower:
    """Hashes a file behind the one who writes it."""

    def __init__(self, descriptor: int, digest: hashlib._Hash, done: int) -> None:
        self._descriptor, self._digest, self._done = descriptor, digest, done
        self._sizes: SimpleQueue[int | None] = SimpleQueue()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._follow, name="sha256", daemon=True)
        self._thread.start()

    def follow_to(self, size: int) -> None:
        self._sizes.put(size)

    def end(self) -> None:
        self.stop()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._sizes.put(None)
        self._thread.join()

    def _follow(self) -> None:
        block = memoryview(bytearray(_BLOCK))
        try:
            while (size := self._sizes.get()) is not None:
                while self._done < size:
                    read = os.preadv(self._descriptor, [block[: size - self._done]], self._done)
                    self._digest.update(block[:read])
                    self._done += read
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
    temporary = temporary_of(path)
    try:
        stream = Stream(temporary)
        try:
            write(stream)
            stream.sync()
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


def temporary_of(path: Path) -> Path:
    """What a file or folder is called until it is whole."""
    return path.with_name(f".{path.name}{_TEMPORARY}")


def without_temporary(name: str) -> str:
    """What a file is to be called, by what it is called until it is whole; any other name as it is."""
    torn = name.startswith(".") and name.endswith(_TEMPORARY)
    return name[1 : -len(_TEMPORARY)] if torn else name


def place_durably(temporary: Path, path: Path, digest: str | None) -> bool:
    """Flush and rename a file that came from elsewhere, if it is what it has to be.

    Args:
        temporary: The file, in the same folder.
        path: What it is to be called.
        digest: The SHA-256 that it has to have; ``None`` takes any.
    """
    if digest is not None and sha256(temporary) != digest:
        return False
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    _flush_folder(path.parent)
    return True


def remove_torn_files(folder: Path) -> None:
    """Remove what a process that was killed while it wrote has left behind."""
    for path in folder.glob(f".*{_TEMPORARY}"):
        if path.is_dir():
            # Another process of that training may still be writing there; what stays is removed next time.
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def save_tensors(content: Any, stream: Stream) -> None:
    """Write what ``torch.save`` writes, without the check sums per tensor: the digest is one for all."""
    import torch  # here, for a run's files can be looked at without it

    check_sums = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(content, stream)  # type: ignore[arg-type]
    except RuntimeError as error:
        if stream.error is not None:
            raise stream.error from error
        raise
    finally:
        torch.serialization.set_crc32_options(check_sums)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits; of a folder, that of the names and digests in it.

    Raises:
        FileNotFoundError: If it is gone, or there is nothing in the folder.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for file in files_of(path):
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\n".encode())
        return digest.hexdigest()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def files_of(folder: Path) -> list[Path]:
    """All files in a folder, at any depth, in an order that is the same on every machine.

    Raises:
        FileNotFoundError: If there are none: a folder that loses its name meanwhile looks empty.
    """
    found = [path for path in folder.rglob("*") if not path.is_dir()]
    if not found:
        raise FileNotFoundError(errno.ENOENT, "nothing is there", str(folder))
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def is_whole(path: Path, digest: str) -> bool:
    """Whether a file or folder is there and has this digest."""
    try:
        return sha256(path) == digest
    except FileNotFoundError:
        return False


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
