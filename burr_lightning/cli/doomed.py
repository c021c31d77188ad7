"""What goes with a run or a study that is to be deleted, as the terminal and JSON have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console

from ..amounts import file_size
from .output import print_whole

if TYPE_CHECKING:
    from ..storage.doomed import Doomed
    from ..tuning.doomed import DoomedStudy


def facts_of(doomed: Doomed | DoomedStudy, *, deleted: bool) -> dict[str, Any]:
    """What ``--json`` tells of both; the keys are stable."""
    return {
        "project": doomed.folder.project,
        "deleted": deleted,
        "half_deleted_before": doomed.begun,
        "unreadable": doomed.unreadable,
        "folder": doomed.folder.path,
        "files": doomed.files,
        "bytes": doomed.frees,
        "rows": doomed.rows,
        "store": str(doomed.store) if doomed.store is not None else None,
        "trackers": list(doomed.trackers),
        "kept": {str(path): why for path, why in doomed.kept.items()},
        "forks": list(doomed.forks),
    }


def print_folders(
    to: Console, kind: str, name: str, doomed: Doomed | DoomedStudy, *, unreadable: tuple[str, str]
) -> None:
    """Print what it is, and the folders that go.

    Args:
        to: Where.
        kind: What it is.
        name: Its id.
        doomed: What goes with it.
        unreadable: What is not known where it cannot be read, and what that means.
    """
    print_whole(to, kind, f"{name} (project {doomed.folder.project})")
    if doomed.begun:
        print_whole(to, "", "it is deleted in part already; this is the rest")
    print_whole(to, "folder", str(doomed.folder.path))
    if doomed.unreadable is not None:
        print_whole(to, "not readable", f"{doomed.unreadable}, so that {unreadable[0]}:")
        print_whole(to, "", unreadable[1])
    for tracker in doomed.trackers:
        print_whole(to, "tracker's folder", str(tracker))


def print_files(to: Console, files: int, frees: int) -> None:
    """Print how many files go, and the bytes that this frees."""
    print_whole(to, "files", f"{files}, which free {file_size(frees)}")


def print_rows(to: Console, rows: int, doomed: Doomed | DoomedStudy) -> None:
    """Print how many rows go, and what stays."""
    stays = "stay where they are (--keep-rows)"
    print_whole(to, "rows", f"{rows} in {doomed.store}" if doomed.store is not None else stays)
    for path, why in doomed.kept.items():
        print_whole(to, "stays", f"{path}, for {why}")
    if doomed.forks:
        print_whole(to, "forks", f"{', '.join(doomed.forks)}: they stay, whole without it")
