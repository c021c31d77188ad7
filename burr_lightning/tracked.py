"""What Burr's local tracker keeps of a run, and whose run it is."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from glob import escape
from pathlib import Path
from typing import Any, Literal

from burr.lifecycle.base import LifecycleAdapter
from burr.tracking import LocalTrackingClient
from burr.tracking.common.models import ChildApplicationModel, PointerModel

from .known_runs import readable_info
from .layout import RunFolder, RunInfo, read_json, write_json

_GRAPH = "graph.json"
OWNER = "burr_lightning.json"
"""The file in a tracker's folder that says which root the run belongs to."""
UNDONE = "undone.jsonl"
"""The file in a tracker's folder that holds the steps which were run again."""
_UNTIL = "-until-"
_WHEN = "%Y%m%d-%H%M%S-%f"
_SET_ASIDE = re.compile(_UNTIL + r"\d{8}-\d{6}-\d{6}")
_VALIDATES = re.compile(r"class (Validate\b|\w+\([^)]*\bValidate\b)")
PhaseKind = Literal["train", "validate"]


def place_of(folder: RunFolder, info: RunInfo | None) -> Path | None:
    """Where a local tracker keeps what it recorded of a run, ``None`` where it keeps nothing of it.

    Runs of one name in two roots have one folder there: it is of the one that was trained last, and what
    the other had written was set aside.

    Args:
        folder: The run's own folder.
        info: What that says.
    """
    if info is None or info.tracker is None:
        return None
    tracked = Path(info.tracker)
    if taken_by(tracked, folder) is None:
        return tracked
    aside = earlier_of(tracked, folder)
    # One that was ended before this run was begun is of an earlier run of its name.
    return next((path for path in reversed(aside) if _set_aside_at(path) >= info.created), None)


def taken_by(tracked: Path, folder: RunFolder) -> Path | None:
    """The root of another run that has a run's place in Burr's tracker, ``None`` where none has it.

    A folder that does not say whose it is was written by an older version, and counts as the run's, and so
    does that of a run which this one is a copy of.
    """
    owner = owner_of(tracked)
    if owner is None or owns(tracked, folder):
        return None
    run, other = readable_info(folder), readable_info(RunFolder(owner, folder.project, folder.run_id))
    is_copy = run is not None and other is not None and run.created == other.created
    return None if is_copy else owner


def tracked_graph(folder: RunFolder, info: RunInfo | None) -> dict[str, Any] | None:
    """What a local tracker stored of a run's machine, ``None`` where it stored none."""
    place = place_of(folder, info)
    return read_json(place / _GRAPH) if place is not None else None


def phase_kinds(folder: Path) -> dict[str, PhaseKind]:
    """Which phases of Lightning's loop a run's actions stand for, by their code in the tracker's graph."""
    graph = read_json(folder / _GRAPH) or {}
    codes = {action["name"]: str(action.get("code") or "") for action in graph.get("actions", [])}
    return {
        name: "validate" if _VALIDATES.match(code.lstrip()) else "train"
        for name, code in codes.items()
        if "class PhaseAction(" in code
    }


def tracker_folder(tracker: LifecycleAdapter | None, run_id: str) -> Path | None:
    """Where a local tracker keeps a run, ``None`` for a tracker of another kind."""
    if not isinstance(tracker, LocalTrackingClient):
        return None
    return Path(tracker.storage_dir).absolute() / run_id


def forget_undone(folder: Path, sequence_id: int) -> None:
    """Take the steps after a commit out of a local tracker's log: they are run again under their numbers.

    Burr's page would add the two together, and show nothing at all of a project in which the last line
    of a log is torn. What is taken out is kept beside the log, in ``undone.jsonl``.

    Args:
        folder: Where the tracker keeps the run.
        sequence_id: The newest step that has a row.
    """
    log = folder / LocalTrackingClient.LOG_FILENAME
    if not log.exists():
        return
    done: list[bytes] = []
    undone: list[bytes] = []
    # Bytes: as text, a line would also end at signs that JSON leaves as they are inside its strings.
    for line in log.read_bytes().splitlines(keepends=True):
        (done if _step_of(line) <= sequence_id else undone).append(line)
    if undone:
        with open(folder / UNDONE, "ab") as kept:
            kept.writelines(undone)
        shortened = log.with_suffix(".tmp")
        shortened.write_bytes(b"".join(done))
        shortened.replace(log)


def _step_of(line: bytes) -> float:
    """The number of the step that a line of a log belongs to; a torn line belongs to none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return math.inf
    return float(entry.get("sequence_id", entry.get("action_sequence_id", 0)))


def set_aside(folder: Path) -> Path | None:
    """Rename what a local tracker kept of an earlier run of the same name, so that it is not mixed.

    Returns:
        Its new place, ``None`` where there was nothing.
    """
    log = folder / LocalTrackingClient.LOG_FILENAME
    if not log.exists():
        return None
    written = datetime.fromtimestamp(log.stat().st_mtime)
    kept = folder.with_name(f"{folder.name}{_UNTIL}{written:{_WHEN}}")
    return folder.rename(kept)


def _set_aside_at(kept: Path) -> float:
    """When what was set aside had been written last, in seconds since 1970."""
    return datetime.strptime(kept.name.rpartition(_UNTIL)[2], _WHEN).timestamp()


def earlier_of(tracked: Path, folder: RunFolder) -> list[Path]:
    """What `set_aside` has kept of earlier runs of the same name and root; nothing of other runs.

    Args:
        tracked: Where the tracker keeps the run.
        folder: The run's own folder.
    """
    found = tracked.parent.glob(f"{escape(tracked.name)}{_UNTIL}*")
    aside = [path for path in found if _SET_ASIDE.fullmatch(path.name[len(tracked.name) :])]
    runs = folder.path.parent
    return sorted(path for path in aside if owns_or_emptied(path, folder) and not (runs / path.name).exists())


def owner_of(folder: Path) -> Path | None:
    """The root folder of the run that a tracker's folder belongs to, ``None`` where it does not say."""
    try:
        stored = read_json(folder / OWNER)
    except (NotADirectoryError, json.JSONDecodeError):
        return None
    return Path(stored["root"]) if stored else None


def owns(tracked: Path, folder: RunFolder) -> bool:
    """Whether what a tracker has is this run's: of this folder, or of one that it was moved from."""
    owner = owner_of(tracked)
    if owner is None or owner == folder.root:
        return owner is not None
    return not RunFolder(owner, folder.project, folder.run_id).path.exists()


def keeps_on(tracked: Path, folder: RunFolder, info: RunInfo | None) -> bool:
    """Whether a tracker's folder has the steps of this very run, which go on in it.

    A run of the same name and root may have been deleted, and have left its steps there: a run that was
    not tracked yet, as a new fork, has none.

    Args:
        tracked: The tracker's folder of this name.
        folder: The run's own folder.
        info: What that says; ``None`` where its file was lost.
    """
    if not owns(tracked, folder):
        return False
    if info is None:
        return True
    before = Path(info.tracker) if info.tracker else None
    if before is None:
        return False
    # Another way to the same place, or one that was moved here.
    return before == tracked or not before.exists() or before.samefile(tracked)


def owns_or_emptied(tracked: Path, folder: RunFolder) -> bool:
    """Whether a tracker's folder is the run's, or one from which everything was deleted already."""
    return owns(tracked, folder) or not any(tracked.iterdir())


def own(folder: Path, root: Path) -> None:
    """Say whose run a tracker's folder belongs to: all root folders share Burr's."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / OWNER, {"root": str(root)})


def spawned_again(folder: Path, spawned_by: Mapping[str, Any]) -> None:
    """Say which step of its study has a run go on.

    Burr's client says it once, when a run is new. The step that launched it then may have been undone when
    its study was interrupted: Burr's page would lead to a step that is not there, and have no way back.

    Args:
        folder: Where the tracker keeps the run.
        spawned_by: ``run_id`` and ``sequence_id`` of the study's step.
    """
    metadata = read_json(folder / LocalTrackingClient.METADATA_FILENAME)
    before = (metadata or {}).get("spawning_parent_pointer")
    study = folder.with_name(spawned_by["run_id"])
    if metadata is None or before is None or not study.exists():
        return
    now = {**before, "app_id": study.name, "sequence_id": spawned_by["sequence_id"]}
    if now == before:
        return
    child = ChildApplicationModel(
        child=PointerModel(app_id=folder.name, sequence_id=None, partition_key=metadata.get("partition_key")),
        event_time=datetime.now(),
        event_type="spawn_start",
        sequence_id=now["sequence_id"],
    )
    with open(study / LocalTrackingClient.CHILDREN_FILENAME, "a", encoding="utf-8") as children:
        children.write(child.model_dump_json() + "\n")  # at once: other trials write there too
    write_json(folder / LocalTrackingClient.METADATA_FILENAME, {**metadata, "spawning_parent_pointer": now})
