"""Runs as a tree: each fork under the run that it has left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..runs import Run

_Name = tuple[str, str]


def as_tree(runs: Sequence[Run]) -> Iterator[tuple[Run, str]]:
    """The runs in the order of a tree, each once, with what is drawn before its name.

    A fork whose parent is not there stands for itself.

    Args:
        runs: The runs, in the order that those without a parent are to have.
    """
    known = {_name(run): run for run in runs}
    forks: dict[_Name, list[Run]] = {}
    roots: list[Run] = []
    for run in runs:
        parent = known.get((run.project, run.parent.run_id)) if run.parent is not None else None
        if parent is None or not run.is_fork_of(parent):
            roots.append(run)
        else:
            forks.setdefault(_name(parent), []).append(run)
    drawn: set[_Name] = set()
    for root in [
        *roots,
        *runs,
    ]:  # those that name each other as parents, as older versions let them, have no root
        if _name(root) not in drawn:
            drawn.add(_name(root))
            yield root, ""
            yield from _under(root, "", forks, drawn)


def _name(run: Run) -> _Name:
    return run.project, run.run_id


def _under(
    run: Run, before: str, forks: dict[_Name, list[Run]], drawn: set[_Name]
) -> Iterator[tuple[Run, str]]:
    own = [fork for fork in forks.get(_name(run), ()) if _name(fork) not in drawn]
    own.sort(key=lambda fork: fork.created)
    for fork in own:
        drawn.add(_name(fork))
        is_last = fork is own[-1]
        yield fork, f"{before}{'└─ ' if is_last else '├─ '}"
        yield from _under(fork, f"{before}{'   ' if is_last else '│  '}", forks, drawn)
