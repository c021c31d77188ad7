"""Which runs were forked from which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..known_runs import known_runs, readable_info
from ..layout import RunFolder, RunInfo, run_folders


@dataclass(frozen=True)
class ForkPoint:
    """Where a fork has left its parent."""

    run_id: str
    """The parent, a run of the same project, which may be deleted by now."""
    project: str
    epoch: int
    """The last epoch that the two have in common."""
    sequence_id: int
    """The step of the machine that it was forked after."""
    created: float | None = field(default=None, compare=False, repr=False)
    """When the parent was begun, for a later run may have its name; ``None`` where an older version did not
    write it down."""

    def is_in(self, run: RunInfo) -> bool:
        """Whether a run is the parent itself, and not a later one of its name."""
        same = self.created is None or self.created == run.created
        return same and (self.run_id, self.project) == (run.run_id, run.project)

    def __str__(self) -> str:
        return f"{self.run_id}@{self.epoch}"


def fork_point(info: RunInfo) -> ForkPoint | None:
    """Where a run has left its parent, ``None`` where it is no fork."""
    parent = info.parent
    if parent is None:
        return None
    return ForkPoint(
        parent["run_id"], info.project, parent["epoch"], parent["sequence_id"], parent.get("created")
    )


def parent_info(
    folder: RunFolder, info: RunInfo, read: Callable[[RunFolder], RunInfo | None] = readable_info
) -> RunInfo | None:
    """What is stored of the run that a fork has left, ``None`` where that is deleted, or it is no fork.

    Args:
        folder: The fork.
        info: What its folder says.
        read: Reads what a folder says, as in `children_of`.
    """
    at = fork_point(info)
    found = read(RunFolder(folder.root, folder.project, at.run_id)) if at is not None else None
    return found if at is not None and found is not None and at.is_in(found) else None


class KnownInfos:
    """What the folders of runs say; those that were read before are read again only where they changed.

    For who asks again and again, every second say: a project can hold thousands of runs.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int], RunInfo | None]] = {}

    def info(self, folder: RunFolder) -> RunInfo | None:
        """What `readable_info` gives."""
        file = folder.path / "run.json"
        try:
            status = file.stat()
        except OSError:
            return None
        version = (status.st_mtime_ns, status.st_size)
        known = self._known.get(file)
        if known is None or known[0] != version:
            known = self._known[file] = version, readable_info(folder)
        return known[1]


def children_of(
    folder: RunFolder, read: Callable[[RunFolder], RunInfo | None] = readable_info
) -> list[tuple[RunFolder, RunInfo]]:
    """The forks of a run, the oldest first.

    Args:
        folder: The run.
        read: Reads what a folder says; `KnownInfos.info` for who asks again and again.
    """
    known = [(other, info) for other in run_folders(folder.root, folder.project) if (info := read(other))]
    own = read(folder)
    forks = [
        (other, info)
        for other, info in known
        if (at := fork_point(info)) and at.run_id == folder.run_id and (own is None or at.is_in(own))
    ]
    return sorted(forks, key=lambda fork: fork[1].created)


class ForksOfProject:
    """The forks of all runs of a project as they are now: read once, however many runs are asked about.

    Args:
        root: The folder that holds all runs.
        project: The project.
    """

    def __init__(self, root: Path, project: str) -> None:
        self._of: dict[str, list[tuple[RunFolder, RunInfo, ForkPoint]]] = {}
        for folder, info in known_runs(root, project).items():
            if at := fork_point(info):
                self._of.setdefault(at.run_id, []).append((folder, info, at))

    def of(self, folder: RunFolder) -> list[tuple[RunFolder, RunInfo]]:
        """What `children_of` gives."""
        own = readable_info(folder)
        found = self._of.get(folder.run_id, ())
        forks = [(other, info) for other, info, at in found if own is None or at.is_in(own)]
        return sorted(forks, key=lambda fork: fork[1].created)
