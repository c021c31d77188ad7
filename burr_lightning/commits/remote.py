"""The files of a run at a URL that fsspec opens; what fails for a while is tried again."""

from __future__ import annotations

import errno
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import CopyError
from ..persisters import retrying
from ..persisters.failures import Failure, kind_of
from ..persisters.url import hidden, without_password
from .files import place_durably, temporary_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_LASTING = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)
_LASTING_NUMBERS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENAMETOOLONG}
_LASTING_NAMES = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError"}
_REFUSED = re.compile(
    r"Forbidden|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|Access ?Key|ExpiredToken"
)
_SECRET = re.compile(r"key|pass|secret|token|credential|connection_string|auth", re.IGNORECASE)
_BLOCK = 1 << 20


class RemoteFiles:
    """The files of one run at a URL.

    Args:
        url: The run's folder there; a password in it is used, and never shown.
        run_id: The run, for what is said.
        options: What fsspec is given beside the URL, as ``{"endpoint_url": ...}``.
        patience: Seconds from the first failure until trying is given up, 0 for one try; ``None`` is that
            of the rows.
    """

    def __init__(
        self,
        url: str,
        run_id: str,
        options: Mapping[str, Any] | None = None,
        *,
        patience: float | None = None,
    ) -> None:
        self.url = without_password(url)
        self._given, self._run_id, self._options = url, run_id, dict(options or {})
        self._patience = patience
        self._opened: tuple[AbstractFileSystem, str] | None = None

    def __str__(self) -> str:
        return self.url

    def put(self, path: Path, name: str) -> None:
        """Have a file there, with the size that it has here.

        Args:
            path: The file.
            name: What it is to be called, relative to the run's folder.

        Raises:
            CopyError: If it could not be put there for as long as was tried.
        """

        def work(filesystem: AbstractFileSystem, root: str) -> None:
            to, size = f"{root}/{name}", path.stat().st_size
            try:
                _put_file(filesystem, path, to)
            except FileNotFoundError:
                # A store of buckets would make one of any name: refused where the first part is missing.
                if not path.exists() or not filesystem.exists(_first_part(root)):
                    raise
                filesystem.makedirs(to.rpartition("/")[0], exist_ok=True)
                _put_file(filesystem, path, to)
            filesystem.invalidate_cache()
            there = filesystem.info(to)["size"]
            if there != size:
                raise OSError(f"{name} has {there} bytes there, and {size} here")

        self._persistently(work, f"copy {name} to", is_write=True)

    def names(self, folder: str) -> dict[str, int]:
        """The files of a folder there and their sizes in bytes; nothing where there is no such folder.

        Raises:
            CopyError: If it could not be read for as long as was tried.
        """

        def work(filesystem: AbstractFileSystem, root: str) -> dict[str, int]:
            filesystem.invalidate_cache()
            try:
                found = filesystem.ls(f"{root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
            files = (entry for entry in found if entry["type"] == "file")
            return {entry["name"].rpartition("/")[2]: entry["size"] for entry in files}

        return self._persistently(work, f"read {folder}/ of")

    def get(self, name: str, to: Path, digest: str | None = None) -> bool:
        """Have a file from there on the disk, whole, or not at all.

        Args:
            name: What it is called there, relative to the run's folder.
            to: Where it is to be.
            digest: The SHA-256 that it has to have; ``None`` takes any.

        Returns:
            Whether it was there, and was what it has to be.

        Raises:
            CopyError: If it could not be read for as long as was tried.
        """
        temporary = temporary_of(to)

        def work(filesystem: AbstractFileSystem, root: str) -> bool:
            filesystem.invalidate_cache()
            try:
                filesystem.info(f"{root}/{name}")  # to exists() of fsspec, any error is an absence
            except FileNotFoundError:
                return False
            filesystem.get_file(f"{root}/{name}", str(temporary))
            return True

        try:
            return self._persistently(work, f"read {name} of") and place_durably(temporary, to, digest)
        finally:
            temporary.unlink(missing_ok=True)

    def digest(self, name: str) -> str | None:
        """The SHA-256 of a file there, read without being kept; ``None`` where it is not there.

        Raises:
            CopyError: If it could not be read for as long as was tried.
        """

        def work(filesystem: AbstractFileSystem, root: str) -> str | None:
            filesystem.invalidate_cache()
            digest = hashlib.sha256()
            try:
                with filesystem.open(f"{root}/{name}", "rb") as file:
                    while block := file.read(_BLOCK):
                        digest.update(block)
            except FileNotFoundError:
                return None
            return digest.hexdigest()

        return self._persistently(work, f"read {name} of")

    def remove(self, name: str) -> None:
        """Delete a file there; nothing happens where it is not.

        Raises:
            CopyError: If it could not be deleted for as long as was tried.
        """

        def work(filesystem: AbstractFileSystem, root: str) -> None:
            try:
                filesystem.rm_file(f"{root}/{name}")
            except FileNotFoundError:
                return

        self._persistently(work, f"delete {name} at", is_write=True)

    def remove_folder(self, name: str) -> None:
        """Delete a folder there if it is empty, where there are such things as folders."""

        def work(filesystem: AbstractFileSystem, root: str) -> None:
            try:
                # To a store of buckets, the first part is the bucket, and no folder is a thing.
                filesystem.rmdir(f"{root}/{name}".rstrip("/"))
            except (OSError, NotImplementedError):
                return

        self._persistently(work, f"delete {name} at", is_write=True)

    def _filesystem(self) -> tuple[AbstractFileSystem, str]:
        if self._opened is None:
            from fsspec.core import url_to_fs  # here, for most runs have no copy

            filesystem, root = url_to_fs(self._given, **self._options)
            self._opened = filesystem, root.rstrip("/")
        return self._opened

    def _persistently(
        self,
        work: Callable[[AbstractFileSystem, str], _Result],
        what: str,
        *,
        is_write: bool = False,
    ) -> _Result:
        patience = retrying.PATIENCE if self._patience is None else self._patience
        began: float | None = None
        pauses = retrying.growing_pauses()
        while True:
            try:
                result = work(*self._filesystem())
            except Exception as error:  # each kind of store has errors of its own
                now = time.monotonic()
                left = patience if began is None else began + patience - now
                shown = self._shown(error)
                if _lasts(error) or left <= 0:
                    # A traceback would print what the store's client says, and what that came from.
                    cause = error if all(self._hidden(text) == text for text in _said(error)) else None
                    raise CopyError(self._run_id, what, self.url, shown, is_write=is_write) from cause
                if began is None:
                    log.warning(
                        "Run %r cannot %s %s (%s). It is tried again for %g s.",
                        *(self._run_id, what, self.url, shown, patience),
                    )
                    began = now
            else:
                if began is not None:
                    waited = time.monotonic() - began
                    log.warning("Run %r: %s works again, after %.1f s.", self._run_id, self.url, waited)
                return result
            time.sleep(min(next(pauses), left))

    def _shown(self, error: Exception) -> str:
        return self._hidden(retrying.in_words(error))

    def _hidden(self, text: str) -> str:
        return hidden(text, self._given, _secrets(self._options))


def _lasts(error: Exception) -> bool:
    """Whether an error of a store will not pass by itself."""
    if isinstance(error, _LASTING) or getattr(error, "errno", None) in _LASTING_NUMBERS:
        return True
    names = {kind.__name__ for kind in type(error).__mro__}
    refused = names & _LASTING_NAMES or _REFUSED.search(str(error)) is not None
    return bool(refused) or kind_of(error) is not Failure.PASSING


def _put_file(filesystem: AbstractFileSystem, path: Path, to: str) -> None:
    """Stores of objects replace one in one step; in a folder a kill would leave a torn one."""
    from fsspec.implementations.local import LocalFileSystem  # here, for most runs have no copy

    if not isinstance(filesystem, LocalFileSystem):
        filesystem.put_file(str(path), to)
        return
    temporary = temporary_of(Path(to))
    try:
        filesystem.put_file(str(path), str(temporary))
        place_durably(temporary, Path(to), None)
    finally:
        temporary.unlink(missing_ok=True)


def _secrets(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif _SECRET.search(name):
            parts = value if isinstance(value, (list, tuple)) else [value]
            yield from (part for part in parts if isinstance(part, str))


def _said(error: BaseException) -> Iterator[str]:
    """What an error says, and those say that it came from."""
    before: BaseException | None = error
    while before is not None:
        yield str(before)
        before = before.__cause__ or before.__context__


def _first_part(root: str) -> str:
    """The bucket, or the folder below the root."""
    end = root.find("/", 1)
    return root if end < 0 else root[:end]


def joined(url: str, *parts: str) -> str:
    """The URL of something below another.

    Example:
        >>> joined("s3://bucket/runs", "digits", "a"), joined("memory://", "digits")
        ('s3://bucket/runs/digits/a', 'memory://digits')
    """
    return f"{url}{'' if url.endswith('/') else '/'}{'/'.join(parts)}"
