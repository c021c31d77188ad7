"""The study in Burr's own tracker."""

from __future__ import annotations

from pathlib import Path

from burr.tracking import LocalTrackingClient

from ..tracked import forget_undone, own, owner_of, set_aside
from .store import StudyFolder


def local_tracker(folder: StudyFolder, sequence_id: int | None) -> LocalTrackingClient:
    """Burr's tracker, which goes on where the study does.

    Steps that were done after the newest row are run again under their numbers, and taken out; what it has
    of another study or run of that name is set aside.

    Args:
        folder: The study.
        sequence_id: The newest step that has a row, ``None`` for a new study.
    """
    tracker = LocalTrackingClient(project=folder.project)
    tracked = _tracked(tracker, folder)
    if sequence_id is None or owner_of(tracked) != folder.root:
        set_aside(tracked)
    own(tracked, folder.root)
    forget_undone(tracked, -1 if sequence_id is None else sequence_id)
    return tracker


def take_back_undone(folder: StudyFolder, sequence_id: int | None) -> None:
    """Take out what Burr's tracker has of a step that an interruption left undone.

    Args:
        folder: The study.
        sequence_id: The newest step that was done, ``None`` where none was.
    """
    tracked = _tracked(LocalTrackingClient(project=folder.project), folder)
    forget_undone(tracked, -1 if sequence_id is None else sequence_id)


def _tracked(tracker: LocalTrackingClient, folder: StudyFolder) -> Path:
    return Path(tracker.storage_dir).absolute() / folder.study_id
