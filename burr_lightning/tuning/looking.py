"""Studies as they are stored, found and looked at from outside: read only, without a lock."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import (
    BurrLightningError,
    PersisterError,
    RunNotFoundError,
    StudyNotFoundError,
)
from ..layout import LATEST, home
from ..locks import holder
from ..persisters import PersisterUrl, Place
from .scores import Scores
from .store import StudyFolder, StudyInfo, study_folders
from .study import OpenedStudy

Status = Literal["running", "finished", "interrupted"]

_PASSWORD = (
    "A password is not written down with the study: give persister=... with it (the commands: --persister)."
)


@dataclass(frozen=True)
class Score:
    """What a trial came to after an epoch."""

    epoch: int
    value: float


@dataclass(frozen=True)
class StudyLook:
    """A study as it stood when it was looked at."""

    folder: StudyFolder
    study: OpenedStudy
    owner: str | None
    """The process that runs it, as it says itself, ``None`` where none does."""
    scores: Mapping[int, Score]
    """The newest score of each trial, by its number."""

    @property
    def info(self) -> StudyInfo:
        """What its folder says."""
        return self.study.info

    @property
    def status(self) -> Status:
        """``interrupted`` where it has not ended, and no process runs it."""
        if self.owner is not None:
            return "running"
        ledger = self.study.ledger
        is_over = self.study.stop_reason is not None and not ledger.running and not ledger.waiting
        return "finished" if is_over else "interrupted"

    @property
    def under_way(self) -> list[int]:
        """The trials that run.

        One that waits while a worker is free is about to be launched, or runs in the study's own process.
        """
        if self.owner is None:
            return []
        ledger = self.study.ledger
        free = max(int(self.study.state["parallel"]) - len(ledger.running), 0)
        return sorted([*ledger.running, *ledger.waiting[:free]])

    @property
    def fates(self) -> dict[str, int]:
        """How many trials there are of each status; those that no process runs any more wait."""
        counts = dict.fromkeys(("finished", "pruned", "failed", "running", "waiting"), 0)
        running = {*self.under_way}
        for trial in self.study.ledger:
            counts[status_of(trial.status, is_run=trial.number in running)] += 1
        return counts


def status_of(status: str, *, is_run: bool) -> str:
    """A trial's status, as far as it is known from outside.

    Args:
        status: What is stored.
        is_run: Whether it runs.
    """
    if status in ("running", "waiting"):
        return "running" if is_run else "waiting"
    return status


class FollowedStudy:
    """Looks at a study; what its trials reported is read on from the look before.

    Args:
        folder: Its folder.
        persister: Where its rows are, ``None`` for where its folder says.
    """

    def __init__(self, folder: StudyFolder, persister: str | Place | None = None) -> None:
        self._folder, self._given = folder, persister
        self._file = Scores(folder.scores)
        self._scores: dict[int, Score] = {}

    def look(self) -> StudyLook:
        """What stands there now.

        Raises:
            StudyNotFoundError: If it is gone.
            BurrLightningError: If its rows cannot be read.
        """
        study = _opened(self._folder, self._given)
        owner = (holder(self._folder.lock) or "a process") if study.is_run else None
        for fact in self._file.newer():
            if "value" in fact and "epoch" in fact:
                self._scores[int(fact["trial"])] = Score(int(fact["epoch"]), float(fact["value"]))
        return StudyLook(self._folder, study, owner, dict(self._scores))


def find_study(
    wanted: str,
    project: str | None = None,
    *,
    root_dir: str | os.PathLike[str] | None = None,
) -> StudyFolder:
    """A study as one types it: its id, a beginning of it that no other study has, or ``latest``.

    Args:
        wanted: Which study.
        project: Its project; ``None`` looks through all of them.
        root_dir: Where studies are kept, as in `BurrCallback`.

    Raises:
        StudyNotFoundError: If no study, or more than one, is meant.
    """
    root = home(root_dir)
    known = {folder: info.created for folder, info in _known(root, project).items()}
    return only_study(known, wanted, root)


def only_study(known: Mapping[StudyFolder, float], wanted: str, root: Path) -> StudyFolder:
    """The one study that is meant.

    Args:
        known: The studies, each with when it was made.
        wanted: What was typed.
        root: Where studies are kept.

    Raises:
        StudyNotFoundError: If no study, or more than one, is meant.
    """
    meant = [folder for folder in known if folder.study_id == wanted]
    if not meant and wanted == LATEST and known:
        meant = [max(known, key=lambda folder: known[folder])]
    if not meant and wanted:
        meant = [folder for folder in known if folder.study_id.startswith(wanted)]
    if len(meant) != 1:
        names = [f"{folder.project}/{folder.study_id}" for folder in meant or known]
        raise StudyNotFoundError(wanted, names, str(root), several=bool(meant))
    return meant[0]


def all_studies(
    project: str | None = None,
    *,
    root_dir: str | os.PathLike[str] | None = None,
    persister: str | None = None,
) -> tuple[list[StudyLook], dict[str, str]]:
    """All studies, or those of one project, the newest first; and why some of them cannot be read.

    Args:
        project: The project; ``None`` looks through all of them.
        root_dir: Where studies are kept, as in `BurrCallback`.
        persister: The URL of those that were run with it, with its password.
    """
    known = _known(home(root_dir), project)
    given = PersisterUrl.parse(persister, "burr-lightning study list") if persister is not None else None
    found, unread = [], {}
    for folder in sorted(known, key=lambda folder: known[folder].created, reverse=True):
        is_meant = given is not None and given.stored == known[folder].persister
        try:
            found.append(FollowedStudy(folder, given if is_meant else None).look())
        except BurrLightningError as error:
            unread[f"{folder.project}/{folder.study_id}"] = str(error)
    return found, unread


def _known(root: Path, project: str | None) -> dict[StudyFolder, StudyInfo]:
    return {folder: info for folder in study_folders(root, project) if (info := folder.info()) is not None}


def _opened(folder: StudyFolder, given: str | Place | None) -> OpenedStudy:
    info = folder.info()
    place: Any = PersisterUrl.parse(given, "Study.open") if isinstance(given, str) else given
    try:
        return OpenedStudy(folder, place)
    except RunNotFoundError as error:
        raise StudyNotFoundError(error.wanted, error.available, str(folder.root)) from error
    except BurrLightningError:
        raise
    except Exception as error:  # whatever the database's driver raises
        store = info.persister if info is not None and info.persister else str(folder.root / "state.sqlite")
        hides = place.hide(f"{type(error).__name__}: {error}") if isinstance(place, PersisterUrl) else None
        why = hides or f"{type(error).__name__}: {error}"
        rule = _PASSWORD if "://" in store else "Restore the database from a backup, or start a new study."
        raise PersisterError(folder.study_id, None, store, why, rule) from error
