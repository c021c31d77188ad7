"""Runs as a tree: each fork under the run that it has left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..runs import Run


def as_tree(runs: Sequence[Run]) -> Iterator[tuple[Run, str]]:
    """The runs in the order of a tree, each with what is drawn before its name.

    A fork whose parent is not there stands for itself.

    Args:
        runs: The runs, in the order that those without a parent are to have.
    """
    known = {(run.project, run.run_id) for run in runs}
    forks: dict[tuple[str, str], list[Run]] = {}
    roots: list[Run] = []
    for run in runs:
        parent = (run.project, run.parent.run_id) if run.parent else None
        if parent is None or parent not in known:
            roots.append(run)
        else:
            forks.setdefault(parent, []).append(run)
    for root in roots:
        yield root, ""
        yield from _under(root, "", forks)


def _under(run: Run, before: str, forks: dict[tuple[str, str], list[Run]]) -> Iterator[tuple[Run, str]]:
    own = sorted(forks.get((run.project, run.run_id), []), key=lambda fork: fork.created)
    for fork in own:
        is_last = fork is own[-1]
        yield fork, f"{before}{'└─ ' if is_last else '├─ '}"
        yield from _under(fork, f"{before}{'   ' if is_last else '│  '}", forks)
