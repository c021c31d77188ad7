"""Which runs and jobs a process holds, and lock files that a process has left, which are harmless."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

from ...layout import RunFolder
from ...locks import holder, is_held
from ...runs import Run
from ...scheduling.jobs import Queue
from ...scheduling.processes import has_lived_since
from .finding import Finding, count

_HOLDER = re.compile(r"process (\d+) on (\S+), ")


def check_locks(root: Path, runs: list[Run]) -> Iterator[Finding]:
    """The locks of runs.

    Args:
        root: The folder of all runs.
        runs: All that can be opened.
    """
    locks = [(run.run_id, RunFolder(root, run.project, run.run_id).lock) for run in runs]
    yield from _held("locks", "run", locks)


def check_queue(root: Path) -> Iterator[Finding]:
    """The leases of jobs, and jobs that cannot be read.

    Args:
        root: The folder of all runs.
    """
    folders = [folder for folder in Queue(root).folders() if folder.is_whole()]
    yield from _held("queue", "job", [(folder.id, folder.lease) for folder in folders])
    for folder in folders:
        if (damaged := folder.job().damaged) is not None:
            text = f"the job {folder.id} cannot be read ({damaged}), and nothing starts it"
            yield Finding("queue", "problem", text, (str(folder.path),))


def _held(section: str, of: str, locks: list[tuple[str, Path]]) -> Iterator[Finding]:
    left = 0
    for name, path in locks:
        if not path.exists():
            continue
        try:
            held = is_held(path)
        except OSError:
            continue  # what may not be read is told with the permissions
        if held:
            yield Finding(section, "note", f"the {of} {name} is held by {_who(path)}", (str(path),))
        left += not held
    if left:
        files = count(left, "lock file is free", "lock files are free")
        yield Finding(section, "fine", f"{files}; they stay, and keep nobody out")


def _who(path: Path) -> str:
    """The process that holds a lock; one that is gone has left it to a process that it started."""
    said = holder(path)
    match = _HOLDER.match(said)
    is_here = match is not None and match[2] == socket.gethostname()
    if match is not None and is_here and not has_lived_since(int(match[1]), path.stat().st_mtime):
        return f"a process that {said.split(',')[0]} has left behind: it is gone itself"
    return said or "a process that did not say which"
