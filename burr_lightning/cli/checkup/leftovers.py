"""Files that nothing needs: torn ones, checkpoints that no row names, folders whose run is gone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from burr.tracking import LocalTrackingClient

from ...commits.checkpoints import CheckpointName
from ...commits.partial import read_partial
from ...errors import BurrLightningError
from ...known_runs import why_unreadable
from ...layout import RunFolder, home
from ...locks import is_held
from ...rows import StoredRow
from ...runs import Run
from ...scheduling.jobs import QUEUE
from ...storage.unmarked import is_unmarked
from ...tracked import owner_of
from ..to_type import to_type
from .finding import Finding, about, count

_SETTLED = 600.0
"""Seconds after which a temporary file is one that was torn, and not one that is being written."""
_SET_ASIDE = re.compile(r".+-until-\d{8}-\d{6}-\d{6}")


def check_leftovers(root: Path, runs: list[Run]) -> Iterator[Finding]:
    """What was left behind below a root, and in Burr's own folder.

    Args:
        root: The folder of all runs.
        runs: All that can be opened.
    """
    yield from _folders(root)
    for run in runs:
        folder = RunFolder(root, run.project, run.run_id)
        if is_held(folder.lock):
            continue  # what is there is being written
        yield from _torn(folder, has_finished=run.status == "finished")
        yield from _unnamed(folder, run)
    queue = [*root.glob(f"{QUEUE}/.new-*"), *root.glob(f"{QUEUE}/*/*.tmp"), *root.glob(f"{QUEUE}/*/*/*.tmp")]
    if torn := [path for path in queue if _is_settled(path)]:
        yield about(
            "orphans", "problem", f"{count(len(torn), 'torn file')} of the queue, to be deleted", torn
        )
    gone = sorted(_without_a_run(root))
    if gone:
        text = f"{count(len(gone), 'folder')} of Burr's tracker, of runs that are gone; to be deleted"
        yield about("orphans", "problem", text, gone)


def _folders(root: Path) -> Iterator[Finding]:
    """Folders of runs that cannot be opened."""
    for path in sorted(root.glob("*/*")):
        if path.parent.name.startswith(".") or not path.is_dir():
            continue
        folder = RunFolder(root, path.parent.name, path.name)
        try:
            info = folder.info()
        except OSError:
            continue  # what may not be read is told with the permissions
        if info is not None or folder.study_marker.exists() or is_held(folder.lock):
            continue
        checkpoints = count(len(list(path.glob("checkpoints/*.ckpt"))), "checkpoint")
        if folder.half_deleted.exists():
            text = f"{path}: it is deleted in part; to end that: {_deletion(folder, '--yes')}"
        elif folder.half_deleted_study.exists():
            ends = _deletion(folder, "--yes", command="study delete")
            text = f"{path}: this study is deleted in part; to end that: {ends}"
        else:
            text = f"{path}: {why_unreadable(folder)}, so its {checkpoints} belong to no run"
            if folder.marker.exists() or is_unmarked(folder):
                text += (
                    f". To have the file written anew, run its script again; to delete the run: "
                    f"{_deletion(folder)}"
                )
        yield Finding("orphans", "problem", text, (str(path),))


def _deletion(folder: RunFolder, *options: str, command: str = "delete") -> str:
    """The command that deletes one; where it is kept is said where the command would not look there."""
    elsewhere = folder.root if folder.root != home(None) else None
    return to_type(command, folder.run_id, folder.project, elsewhere, *options)


def _torn(folder: RunFolder, *, has_finished: bool) -> Iterator[Finding]:
    found = [*folder.path.glob(".*.tmp"), *folder.checkpoints.glob(".*.tmp")]
    others = [*folder.path.glob("*.tmp"), *folder.path.glob("reviews/*.tmp")]
    found += [path for path in others if not path.name.startswith(".") and _is_settled(path)]
    if found:
        what = f"{count(len(found), 'torn file')} of the run {folder.run_id}"
        after = ", to be deleted" if has_finished else ", which go when it goes on"
        yield about("orphans", "problem" if has_finished else "note", f"{what}{after}", sorted(found))


def _unnamed(folder: RunFolder, run: Run) -> Iterator[Finding]:
    """Checkpoints that no row names: a process was killed between the two."""
    first = run.parent.sequence_id if run.parent is not None else -1  # a fork has its parent's before that
    names = {path: CheckpointName.parse(path) for path in sorted(folder.checkpoints.glob("*.ckpt"))}
    ours = {path: name.commit for path, name in names.items() if name is not None and name.commit > first}
    try:
        with run.rows() as rows:
            found = [
                path for path, commit in ours.items() if not _is_named(rows.stored(commit), folder, path)
            ]
    except BurrLightningError:
        return  # that its rows cannot be read is told with them
    if found:
        goes = run.status != "finished"
        what = f"{count(len(found), 'checkpoint')} of the run {run.run_id} that no row names"
        after = ", which go when it goes on" if goes else ", to be deleted"
        yield about("orphans", "note" if goes else "problem", f"{what}{after}", found)


def _is_named(row: StoredRow | None, folder: RunFolder, path: Path) -> bool:
    """Whether a checkpoint is named by the row of the step that it was written after."""
    named = (row.checkpoint if row is not None else None) or {}
    inside = read_partial(folder.path) or {}
    known = [named.get("path"), named.get("weights"), inside.get("path")]
    return path in [folder.path / relative for relative in known if relative is not None]


def _without_a_run(root: Path) -> Iterator[Path]:
    """The folders of Burr's tracker that a run of this root has left."""
    place = Path(LocalTrackingClient.DEFAULT_STORAGE_DIR).expanduser()
    for owner in place.glob("*/*/burr_lightning.json"):
        tracked = owner.parent
        own = owner_of(tracked) == root and not _SET_ASIDE.fullmatch(tracked.name)
        if own and not (root / tracked.parent.name / tracked.name).exists():
            yield tracked


def _is_settled(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _SETTLED
    except FileNotFoundError:
        return False
