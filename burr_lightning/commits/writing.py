"""Writing the files of a commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from .files import save_tensors, write_durably
from .folders import WrittenFolder, publish_folder

Digests = dict[Path, str]
"""The SHA-256 of each file that was written."""

Then = Callable[[Digests], object]


def write_now(contents: Mapping[Path, Any], then: Then) -> Future[Digests]:
    """Write files, and return when they are whole on the disk.

    Args:
        contents: What to write, by where.
        then: What else is done before they count, as copying them.

    Returns:
        A future that has its result, so that both ways of writing look alike.

    Raises:
        OSError: If a file could not be written.
        CopyError: If one could not be copied.
    """
    done: Future[Digests] = Future()
    done.set_result(written(contents, then))
    return done


Write = Callable[[Mapping[Path, Any], Then], "Future[Digests]"]


def written(contents: Mapping[Path, Any], then: Then) -> Digests:
    """Write files, do what else is to be done with them, and tell what they became."""
    digests = {path: _written(path, content) for path, content in contents.items()}
    then(digests)
    return digests


def _written(path: Path, content: Any) -> str:
    if isinstance(content, WrittenFolder):
        return publish_folder(content.path, path)
    return write_durably(path, partial(save_tensors, content))
