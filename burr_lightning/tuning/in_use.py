"""Whether a process runs a study, or one of its trials."""

from __future__ import annotations

from ..errors import StudyNotDeletedError
from ..locks import holder, is_held
from .kept import trials_held
from .store import StudyFolder


def refuse_run(folder: StudyFolder) -> None:
    """See that no process runs a study or a trial of it.

    Raises:
        StudyNotDeletedError: If one does.
    """
    if is_held(folder.lock):
        raise is_run(folder, holder(folder.lock))
    refuse_trials(folder)


def is_run(folder: StudyFolder, who: str) -> StudyNotDeletedError:
    """The error about a study that a process has."""
    if folder.half_deleted.exists():
        why = "another command is deleting it. Wait for that."
    else:
        why = f"it is being run by {who or 'another process'}. Wait for it, or stop it."
    return StudyNotDeletedError(folder.study_id, why)


def refuse_trials(folder: StudyFolder) -> None:
    """See that no worker has a trial: one may outlive its study.

    Raises:
        StudyNotDeletedError: If one has.
    """
    for trial, who in trials_held(folder.path):
        why = f"its trial {trial} is being run by {who or 'another process'}. Wait for it, or stop it."
        raise StudyNotDeletedError(folder.study_id, why)
