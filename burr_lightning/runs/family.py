"""Which runs were forked from which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
    """Where a run has left its parent, ``None`` where it is no fork."""
    parent: Mapping[str, Any] | None = info.parent
    if parent is None:
        return None
    return ForkPoint(parent["run_id"], info.project, parent["epoch"], parent["sequence_id"])


def children_of(folder: RunFolder) -> list[tuple[RunFolder, RunInfo]]:
    """The forks of a run, the oldest first."""
    known = [(other, info) for other in run_folders(folder.root, folder.project) if (info := other.info())]
    forks = [(other, info) for other, info in known if (info.parent or {}).get("run_id") == folder.run_id]
    return sorted(forks, key=lambda fork: fork[1].created)
