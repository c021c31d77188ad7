"""What a run was forked from and what was forked from it, in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..layout import RunFolder, RunInfo
from ..state import changed_by_fork
from .family import ForkPoint, children_of, fork_point, parent_info
from .run import Run

_MOST_FORKS = 8
"""Forks that one line names."""
_LONGEST = 40
"""Characters of a value in it."""


@dataclass(frozen=True)
class Change:
    """A hyperparameter that a fork has changed."""

    name: str
    new: Any
    old: Any
    """``None`` where the parent has none of that name."""

    def __str__(self) -> str:
        was = "" if self.old is None else f"{_cut(self.old)} "
        return f"{self.name} {was}→ {_cut(self.new)}"


@dataclass(frozen=True)
class Lineage:
    """The relatives of a run."""

    parent: ForkPoint | None
    """Where it has left its parent, ``None`` for no fork."""
    parent_is_there: bool
    """Whether the parent is still stored."""
    changes: tuple[Change, ...]
    """What it has been given that its parent had otherwise."""
    forks: tuple[tuple[str, int], ...]
    """The runs that were forked from it, the oldest first, each with the last epoch that it has in common."""

    @staticmethod
    def of(
        run: Run, folder: RunFolder, info: RunInfo, read: Callable[[RunFolder], RunInfo | None]
    ) -> Lineage:
        """The relatives of a run.

        Args:
            run: The run.
            folder: Its folder.
            info: What that says of it.
            read: Reads what the folders of the others say, as in `children_of`.
        """
        parent = fork_point(info)
        there = parent_info(folder, info, read) is not None
        known = children_of(folder, read)
        forks = [(other.run_id, at.epoch) for other, its in known if (at := fork_point(its)) is not None]
        return Lineage(parent, there, tuple(_changes(run)), tuple(forks))

    @property
    def named_forks(self) -> tuple[tuple[str, int], ...]:
        """Those of the forks that there is room for in a line."""
        return self.forks[:_MOST_FORKS]

    @property
    def more_forks(self) -> int:
        """How many others there are."""
        return len(self.forks) - len(self.named_forks)

    def __bool__(self) -> bool:
        return self.parent is not None or bool(self.forks)

    def __str__(self) -> str:
        return "; ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        if self.parent is not None:
            changed = f" ({', '.join(map(str, self.changes))})" if self.changes else ""
            gone = "" if self.parent_is_there else ", which is deleted"
            yield f"forked from {self.parent}{changed}{gone}"
        if self.forks:
            names = ", ".join(f"{run_id}@{epoch}" for run_id, epoch in self.named_forks)
            more = f" and {self.more_forks} more" if self.more_forks else ""
            yield f"forks: {names}{more}"


def _cut(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _changes(run: Run) -> Iterator[Change]:
    for name, (old, new) in (changed_by_fork(run.state) if run.state is not None else {}).items():
        yield Change(name, new, old)
