"""What goes with a run that is to be deleted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from burr.tracking import LocalTrackingClient

from ..errors import IsAStudyError, RowsNotDeletedError
from ..known_runs import (
    known_runs,
    meant_runs,
    only_run,
    readable_info,
    unreadable_runs,
    why_unreadable,
)
from ..layout import RunFolder, RunInfo, half_deleted_folders, project_folders
from ..persisters import PersisterUrl
from ..persisters.deleting import count_rows
from ..runs.family import children_of
from ..stored_rows import StoredRows
from ..tracked import earlier_of, owner_of, owns_or_emptied
from .in_use import refuse_in_use
from .sizes import Freed, files_in
from .unmarked import is_unmarked, unmarked_runs


@dataclass(frozen=True)
class Doomed:
    """What goes with a run."""

    folder: RunFolder
    info: RunInfo
    begun: bool
    """Whether it is deleted in part already."""
    unreadable: str | None
    """Why it is not known what the run was, in words; ``None`` where it is."""
    files: int
    frees: int
    """Bytes; files that a run has too which stays, or goes later, free none."""
    store: PersisterUrl | None
    """Where its rows are; ``None`` where they are to stay."""
    rows: int
    """How many go."""
    trackers: tuple[Path, ...]
    """The folders of Burr's tracker that are this run's own."""
    kept: dict[Path, str]
    """Those that stay, and why."""
    forks: tuple[str, ...]
    """The runs that were forked from it, which stay as they are."""


def found(wanted: str, root: Path, project: str | None) -> tuple[RunFolder, RunInfo]:
    """The run that a name means, those included that are deleted in part, cannot be opened or have no file.

    Raises:
        IsAStudyError: If it is the name of a study.
        RunNotFoundError: If no run, or more than one, is meant.
    """
    unreadable = {folder: _stand_in(folder) for folder in unreadable_runs(root, project)}
    unmarked = {folder: _stand_in(folder) for folder in unmarked_runs(root, project)}
    known = {**unmarked, **_rests(root, project), **unreadable, **known_runs(root, project)}
    try:
        return only_run(meant_runs(known, wanted), known, wanted, root)
    except IsAStudyError as error:
        raise IsAStudyError(error.wanted, error.project, error.where, to_delete=True) from error


def stored_under(folder: RunFolder) -> RunInfo | None:
    """What there is of a run of that very name, as `found` has it; ``None`` where there is no such run."""
    if (info := readable_info(folder)) is not None:
        return info
    if os.path.lexists(folder.half_deleted):
        return _info_of_rest(folder)
    if os.path.lexists(folder.marker) or is_unmarked(folder):
        return _stand_in(folder)
    return _of_emptied(folder) if is_emptied(folder) else None


def doomed(
    folder: RunFolder,
    info: RunInfo,
    persister: str | None,
    *,
    keep_rows: bool,
    freed: Freed | None = None,
    forks_of: Callable[[RunFolder], list[tuple[RunFolder, RunInfo]]] = children_of,
) -> Doomed:
    """What goes with a run; nothing is changed.

    Args:
        folder: The run's folder.
        info: What it says.
        persister: The URL of the runs that were trained with it, password included.
        keep_rows: Whether its rows are left where they are.
        freed: What counts the bytes, of all runs that go together; ``None`` for this one alone.
        forks_of: What says which runs are forks of one; `ForksOfProject.of` for who asks about many.

    Raises:
        NotDeletedError: If somebody needs the run.
        RowsNotDeletedError: If its rows are out of reach.
    """
    begun = not os.path.lexists(folder.marker) and not is_unmarked(folder)
    unreadable = why_unreadable(folder) if any(folder.path.iterdir()) else None
    if unreadable and persister is not None:
        info = replace(info, persister=PersisterUrl.parse(persister, "delete").stored)
    refuse_in_use(folder)
    store = None if keep_rows else store_of(folder, info, persister)
    rows = count_rows(store, folder.project, folder.run_id) if store is not None else 0
    trackers, kept = trackers_of(folder, info)
    files = [file for place in (folder.path, *trackers) for file in files_in(place)]
    freed = freed or Freed()
    forks = tuple(fork.run_id for _, fork in forks_of(folder))
    size = sum(map(freed.of, files))
    return Doomed(folder, info, begun, unreadable, len(files), size, store, rows, trackers, kept, forks)


def _rests(root: Path, project: str | None) -> dict[RunFolder, RunInfo]:
    """What is left of runs whose deletion was cut off."""
    marked = {folder: _info_of_rest(folder) for folder in half_deleted_folders(root, project)}
    return {**marked, **dict(_emptied(root, project))}


def _info_of_rest(folder: RunFolder) -> RunInfo:
    info = folder.info_of_half_deleted() if why_unreadable(folder) is None else None
    return info or _stand_in(folder)


def _stand_in(folder: RunFolder) -> RunInfo:
    """What is known of a run by the name of its folder alone: where it is tracked if it did not say where."""
    tracker = Path(LocalTrackingClient.DEFAULT_STORAGE_DIR).expanduser() / folder.project / folder.run_id
    return RunInfo(folder.run_id, folder.project, None, str(tracker), 0.0)


def _emptied(root: Path, project: str | None) -> Iterator[tuple[RunFolder, RunInfo]]:
    """Folders from which everything was deleted, and that were to go next."""
    projects = [folder for folder in project_folders(root, project) if not folder.name.startswith(".")]
    for path in sorted(path for folder in projects for path in folder.glob("*/")):
        folder = RunFolder(root, path.parent.name, path.name)
        if is_emptied(folder):
            yield folder, _of_emptied(folder)


def is_emptied(folder: RunFolder) -> bool:
    """Whether everything that was in a folder is deleted, and it was to go next."""
    return folder.path.is_dir() and not any(folder.path.iterdir())


def _of_emptied(folder: RunFolder) -> RunInfo:
    return RunInfo(folder.run_id, folder.project, None, None, 0.0)


def store_of(folder: RunFolder, info: RunInfo, persister: str | None) -> PersisterUrl:
    """Where the rows that go are.

    Args:
        folder: The run's folder.
        info: What it says.
        persister: The URL that was given.

    Raises:
        RowsNotDeletedError: If only the run's script can reach them.
    """
    if info.persister is not None and "://" not in info.persister:
        raise RowsNotDeletedError(
            info.run_id,
            f"a {info.persister} that its script opened",
            "only that script can reach them",
            f"Delete them there: those of partition key {folder.project!r} and app id {folder.run_id!r}.",
        )
    with StoredRows(persister, "delete", strict=False) as rows:
        place = rows.place(folder, info)
    assert isinstance(place, PersisterUrl)
    return place


def trackers_of(folder: RunFolder, info: RunInfo) -> tuple[tuple[Path, ...], dict[Path, str]]:
    """The folders of Burr's tracker that are a run's own, and those that stay, each with the reason."""
    if info.tracker is None:
        return (), {}
    tracker = Path(info.tracker)
    own = [tracker] if tracker.is_dir() and owns_or_emptied(tracker, folder) else []
    kept = {}
    if tracker.is_dir() and tracker not in own:
        owner = owner_of(tracker)
        kept[tracker] = f"it is of the run in {owner}" if owner else "it does not say whose it is"
    return (*own, *earlier_of(tracker, folder)), kept
