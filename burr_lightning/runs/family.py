"""Which runs were forked from which."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..known_runs import readable_info
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

    def __str__(self) -> str:
        return f"{self.run_id}@{self.epoch}"


def fork_point(info: RunInfo) -> ForkPoint | None:
    """Where a run has left its parent, ``None`` where it is no fork, or its file does not say it whole."""
    parent: Any = info.parent
    if not isinstance(parent, Mapping) or not {"run_id", "epoch", "sequence_id"} <= parent.keys():
        return None
    return ForkPoint(parent["run_id"], info.project, parent["epoch"], parent["sequence_id"])


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
    forks = [
        (other, info) for other, info in known if (at := fork_point(info)) and at.run_id == folder.run_id
    ]
    return sorted(forks, key=lambda fork: fork[1].created)
