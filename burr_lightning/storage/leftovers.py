"""What was left behind in a run's folder and its tracker's: torn files, and what was set aside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from ..layout import RunFolder, RunInfo
from ..tracked import OWNER, UNDONE, earlier_of, owns, place_of
from .sizes import files_in

_SETTLED = 3600.0
"""Seconds after which a temporary file that is written without the run's lock is one that was torn."""


def leftovers(folder: RunFolder, info: RunInfo) -> Iterator[tuple[Path, str]]:
    """Files that nothing needs, and what each is. Whoever deletes them must own the run.

    Args:
        folder: The run's folder.
        info: What the folder says.
    """
    for place in (folder.path, folder.checkpoints):
        yield from ((path, "torn file") for path in sorted(place.glob(".*.tmp")))
    reviews = folder.path / "reviews"
    for place in (folder.path, reviews):
        found = sorted(path for path in place.glob("*.tmp") if not path.name.startswith("."))
        yield from ((path, "torn file") for path in found if _is_settled(path))
    # What a human was asked and has answered stays: it can be had nowhere else.
    yield from ((path, "set aside: who was told") for path in sorted(reviews.glob("*.told.*.aside")))
    if info.tracker is not None:
        yield from _tracked(Path(info.tracker), folder, place_of(folder, info))


def _tracked(tracker: Path, folder: RunFolder, own: Path | None) -> Iterator[tuple[Path, str]]:
    undone = tracker / UNDONE
    if undone.is_file() and owns(tracker, folder):
        yield undone, "set aside: steps that were run again"
    for earlier in earlier_of(tracker, folder):
        if earlier == own:
            continue  # a run of this name in another root has had it set aside: it can be had nowhere else
        # What says whose it is goes last: who is killed before that can go on with it.
        files = sorted(files_in(earlier), key=lambda path: (path.name == OWNER, path))
        yield from ((path, "set aside: an earlier run of that name") for path in files)


def _is_settled(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _SETTLED
    except FileNotFoundError:
        return False
