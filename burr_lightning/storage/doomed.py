"""What goes with a run that is to be deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import RowsNotDeletedError
from ..known_runs import known_runs, meant_runs, only_run
from ..layout import RunFolder, RunInfo, half_deleted_folders
from ..persisters import PersisterUrl
from ..persisters.deleting import count_rows
from ..runs.family import children_of
from ..stored_rows import StoredRows
from ..tracked import earlier_of, owner_of, owns_or_emptied
from .in_use import refuse_in_use
from .sizes import Freed, files_in


@dataclass(frozen=True)
class Doomed:
    """What goes with a run."""

    folder: RunFolder
    info: RunInfo
    begun: bool
    """Whether it is deleted in part already."""
    files: int
    frees: int
    """Bytes; files that a fork has too free none."""
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
    """The run that a name means, those included that are deleted in part.

    Raises:
        RunNotFoundError: If no run, or more than one, is meant.
    """
    known = {**_rests(root, project), **known_runs(root, project)}
    return only_run(meant_runs(known, wanted), known, wanted, root)


def doomed(folder: RunFolder, info: RunInfo, persister: str | None, *, keep_rows: bool) -> Doomed:
    """What goes with a run; nothing is changed.

    Args:
        folder: The run's folder.
        info: What it says.
        persister: The URL of the runs that were trained with it, password included.
        keep_rows: Whether its rows are left where they are.

    Raises:
        NotDeletedError: If somebody needs the run.
        RowsNotDeletedError: If its rows are out of reach.
    """
    begun = folder.info() is None
    refuse_in_use(folder)
    store = None if keep_rows else _store(folder, info, persister)
    rows = count_rows(store, folder.project, folder.run_id) if store is not None else 0
    trackers, kept = _trackers(folder, info)
    files = [file for place in (folder.path, *trackers) for file in files_in(place)]
    freed = Freed(files)
    forks = tuple(fork.run_id for _, fork in children_of(folder))
    size = sum(map(freed.of, files))
    return Doomed(folder, info, begun, len(files), size, store, rows, trackers, kept, forks)


def _rests(root: Path, project: str | None) -> dict[RunFolder, RunInfo]:
    """What is left of runs whose deletion was cut off."""
    marked = {
        folder: info
        for folder in half_deleted_folders(root, project)
        if (info := folder.info_of_half_deleted()) is not None
    }
    return {**marked, **dict(_emptied(root, project))}


def _emptied(root: Path, project: str | None) -> Iterator[tuple[RunFolder, RunInfo]]:
    """Folders from which everything was deleted, and that were to go next."""
    for path in sorted(root.glob(f"{project or '[!.]*'}/*/")):
        if not any(path.iterdir()):
            folder = RunFolder(root, path.parent.name, path.name)
            yield folder, RunInfo(folder.run_id, folder.project, None, None, 0.0)


def _store(folder: RunFolder, info: RunInfo, persister: str | None) -> PersisterUrl:
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


def _trackers(folder: RunFolder, info: RunInfo) -> tuple[tuple[Path, ...], dict[Path, str]]:
    if info.tracker is None:
        return (), {}
    tracker = Path(info.tracker)
    own = [tracker] if tracker.is_dir() and owns_or_emptied(tracker, folder) else []
    kept = {}
    if tracker.is_dir() and tracker not in own:
        owner = owner_of(tracker)
        kept[tracker] = f"it is of the run in {owner}" if owner else "it does not say whose it is"
    return (*own, *earlier_of(tracker, folder)), kept
