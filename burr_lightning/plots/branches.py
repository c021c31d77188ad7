"""Runs and the runs that were forked from them, in the order of the lines of a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Branch:
    """A run, as a line of a tree of forks."""

    run_id: str
    parent: str | None
    """The run that it was forked from, ``None`` for none."""
    epoch: int
    """The last epoch that it shares with its parent, 0-based; -1 for none, or where it has no parent."""
    epochs: int
    """How many epochs are over, those before the fork included."""
    status: str
    label: str = ""
    """What stands behind its id, as the best value."""
    best: int | None = None
    """The best epoch; one that it shares with its parent is marked there."""

    @property
    def begins(self) -> float:
        """Where its line begins on the axis of epochs: at the end of the epoch that it was forked after."""
        return self.epoch + 0.5

    @property
    def ends(self) -> float:
        """Where its line ends: at the end of its last epoch."""
        return max(self.epochs - 0.5, self.begins)


def ordered(branches: Sequence[Branch]) -> list[Branch]:
    """The branches, each parent before its children, so that no line crosses another.

    The fork that left last comes first under its parent. A run whose parent is not among them begins a
    tree of its own.

    Example:
        >>> early, late = Branch("c", "a", 2, 9, "failed"), Branch("b", "a", 6, 9, "finished")
        >>> [branch.run_id for branch in ordered([Branch("a", None, -1, 9, "finished"), early, late])]
        ['a', 'b', 'c']
    """
    known = {branch.run_id: branch for branch in branches}
    children: dict[str, list[Branch]] = {}
    for branch in branches:
        if branch.parent in known:
            children.setdefault(str(branch.parent), []).append(branch)
    roots = [branch for branch in branches if branch.parent not in known]
    found: dict[str, Branch] = {}
    for root in [*roots, *branches]:  # those that are each other's parents have no root
        for branch in _below(root, children, found):
            found[branch.run_id] = branch
    return list(found.values())


def _below(
    root: Branch, children: Mapping[str, Sequence[Branch]], found: Mapping[str, Branch]
) -> Iterator[Branch]:
    waiting = [root]
    while waiting:
        branch = waiting.pop()
        if branch.run_id in found:
            continue
        yield branch
        waiting += sorted(children.get(branch.run_id, ()), key=lambda child: child.epoch)


def family(branches: Iterable[Branch], members: Iterable[str]) -> list[Branch]:
    """The branches that have an ancestor with one of the members in common.

    Args:
        branches: All that there are.
        members: The run ids.
    """
    known = {branch.run_id: branch for branch in branches}
    roots = {_root(run_id, known) for run_id in members if run_id in known}
    return [branch for run_id, branch in known.items() if _root(run_id, known) in roots]


def _root(run_id: str, known: Mapping[str, Branch]) -> str:
    seen = {run_id}
    while (parent := known[run_id].parent) in known and parent not in seen:
        run_id = str(parent)
        seen.add(run_id)
    return run_id
