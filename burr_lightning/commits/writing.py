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


def write_now(contents: Mapping[Path, Any]) -> Future[Digests]:
    """Write files, and return when they are whole on the disk.

    Args:
        contents: What to write, by where.

    Returns:
        A future that has its result, so that both ways of writing look alike.

    Raises:
        OSError: If a file could not be written.
    """
    done: Future[Digests] = Future()
    done.set_result(written(contents))
    return done


Write = Callable[[Mapping[Path, Any]], "Future[Digests]"]


def written(contents: Mapping[Path, Any]) -> Digests:
    """Write files, and tell what they became."""
    return {path: _written(path, content) for path, content in contents.items()}


def _written(path: Path, content: Any) -> str:
    if isinstance(content, WrittenFolder):
        return publish_folder(content.path, path)
    return write_durably(path, partial(save_tensors, content))
