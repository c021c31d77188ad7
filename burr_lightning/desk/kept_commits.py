"""The commits whose checkpoints are still on disk: those that a run can go back to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..commits.checkpoints import CheckpointName
from ..storage.sizes import size_of
from .store import StoredRun


@dataclass(frozen=True)
class KeptCommit:
    """A checkpoint on disk."""

    file: str
    epoch: int
    """The epoch that had ended; the one that it was written in the middle of."""
    step: int
    """Optimizer steps taken."""
    commit: int
    """The step of the machine that it was written after."""
    inside: int | None
    """After how many batches of the epoch, ``None`` at its end."""
    weights: bool
    """Whether it holds the weights alone."""
    acted: bool
    """Whether actions had changed the training since the epoch had ended."""
    size: int
    written: float
    """Seconds since 1970."""
    best: bool
    last: bool


def kept_commits(stored: StoredRun) -> list[KeptCommit]:
    """The checkpoints of a run that are on disk, the newest first."""
    state, folder = stored.run.state, stored.folder.checkpoints
    best = state["best"]["checkpoint"] if state and state["best"] else None
    last = state["checkpoint"]["path"] if state and state["checkpoint"] else None
    try:
        files = list(folder.iterdir())
    except OSError:
        return []
    found = [kept for path in files if (kept := _kept(path, best, last)) is not None]
    return sorted(found, key=lambda kept: (kept.commit, kept.epoch, kept.step, kept.file), reverse=True)


def _kept(path: Path, best: str | None, last: str | None) -> KeptCommit | None:
    name = CheckpointName.parse(path)
    try:
        status = path.stat()
    except OSError:  # it was pruned meanwhile
        return None
    if name is None:
        return None
    relative = f"{path.parent.name}/{path.name}"
    return KeptCommit(
        path.name,
        name.epoch,
        name.step,
        name.commit,
        name.batch,
        name.weights,
        name.acted,
        size_of(path),
        status.st_mtime,
        relative == best,
        relative == last,
    )
