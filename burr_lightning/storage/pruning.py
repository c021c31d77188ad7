"""Freeing what a stored run does not need: older checkpoints, torn files, and what was set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..commits import Checkpoints, StoredCommits
from ..commits.checkpoints import CheckpointName
from ..commits.retention import unwanted
from ..commits.run_files import RunFiles
from ..errors import BurrLightningError, ResumeError, RunLockedError, StorageError
from ..layout import RunFolder
from ..locks import RunLock, holder, is_held
from ..runs import Run
from ..tracked import earlier_of
from .leftovers import leftovers
from .removing import remove_folder
from .sizes import Freed, files_in
from .weights import folder_of

_Paths = list[tuple[Path, str]]
"""Files, and why each is not needed."""


@dataclass(frozen=True)
class Unneeded:
    """A file that a run does not need."""

    path: Path
    why: str
    frees: int
    """Bytes; 0 where another run has the same file, which stays or goes later."""


@dataclass(frozen=True)
class Pruning:
    """What a run does not need, deleted or not yet."""

    run_id: str
    project: str
    files: tuple[Unneeded, ...]
    skipped: str | None = None
    """Why nothing of it is, or all that could be, deleted; ``None`` where it is."""

    @property
    def frees(self) -> int:
        """Bytes."""
        return sum(file.frees for file in self.files)


def prunable(runs: Sequence[Run], keep: Checkpoints) -> list[Pruning]:
    """What runs do not need. Nothing is deleted, and a file that only some of them need is counted as such.

    Args:
        runs: The runs.
        keep: Which checkpoints stay. Those of the newest commit and of the best epoch do in any case.
    """
    found = [_looked_through(run, keep) for run in runs]
    freed = Freed()
    return [
        Pruning(run.run_id, run.project, _counted(paths, freed), skipped)
        for run, (paths, skipped) in zip(runs, found, strict=True)
    ]


def prune(look: Callable[[], Run], run: Run, keep: Checkpoints) -> Pruning:
    """Delete what a run does not need. A run that another process trains is left alone.

    Args:
        look: Opens the run again, as it stands when it is owned.
        run: The run.
        keep: Which checkpoints stay, as in `prunable`.

    Raises:
        StorageError: If a file cannot be deleted.
    """
    folder = folder_of(run)
    try:
        with RunLock(folder.lock, run.run_id, quiet=True):
            stored = RunFiles.of_stored(folder, folder.info())
            paths, skipped = _unneeded(look(), stored, keep)
            files = _counted(paths, Freed())
            for file in files:
                stored.remove(file.path)
            stored.close()
            _remove_emptied(folder)
    except RunLockedError as error:
        return Pruning(run.run_id, run.project, (), _trained_by(error.holder))
    except BurrLightningError:
        raise
    except OSError as error:
        raise StorageError(run.run_id, error) from error
    return Pruning(run.run_id, run.project, files, skipped)


def _looked_through(run: Run, keep: Checkpoints) -> tuple[_Paths, str | None]:
    folder = folder_of(run)
    if is_held(folder.lock):
        return [], _trained_by(holder(folder.lock))
    return _unneeded(run, RunFiles.of_stored(folder, folder.info()), keep)


def _trained_by(who: str) -> str:
    return f"it is left out, for it is being trained by {who or 'another process'}"


def _unneeded(run: Run, files: RunFiles, keep: Checkpoints) -> tuple[_Paths, str | None]:
    """The files, and why none of the checkpoints is among them where that is so."""
    folder = files.folder
    info = folder.info()
    rest = list(leftovers(folder, info)) if info is not None else []
    if run.state is None:
        return rest, f"its checkpoints stay: {run.rows_error}" if run.rows_error else None
    found = unwanted(files, keep, run.state)
    if not found:
        return rest, None
    try:
        stays = _needed(run, files)
    except BurrLightningError as error:
        return rest, f"its checkpoints stay: {error}"
    return [*((path, _of(path)) for path in reversed(found) if path not in stays), *rest], None


def _needed(run: Run, files: RunFiles) -> set[Path]:
    """What has to stay, whatever is to be kept: what a resume would use, and the best epoch's.

    Where the newest checkpoint is damaged, a resume uses an older one.

    Raises:
        ResumeError: If no commit can be used: then any of them may be what its user brings back.
    """
    with run.rows() as rows:
        point = StoredCommits(files, rows).resume_point()
    if point is None or point.row is None:
        raise ResumeError(f"no commit of run {run.run_id!r} can be used. Look with 'burr-lightning verify'.")
    best = run.best["checkpoint"] if run.best else None
    named = [point.checkpoint, files.folder.path / best if best else None]
    return {path for path in named if path is not None}


def _of(path: Path) -> str:
    name = CheckpointName.parse(path)
    assert name is not None
    return f"inside epoch {name.epoch}" if name.batch is not None else f"epoch {name.epoch}"


def _counted(paths: _Paths, freed: Freed) -> tuple[Unneeded, ...]:
    return tuple(Unneeded(path, why, freed.of(path)) for path, why in paths)


def _remove_emptied(folder: RunFolder) -> None:
    """What a tracker had of earlier runs of that name is gone: its folders go too."""
    info = folder.info()
    if info is None or info.tracker is None:
        return
    for earlier in earlier_of(Path(info.tracker), folder):
        if not any(files_in(earlier)):
            remove_folder(earlier, last=[])
