"""Where a study lives: its folder, its rows, and what is known of it from outside."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import (
    HalfDeletedStudyError,
    NameTakenError,
    ResumeError,
    StudyNotFoundError,
    UnreadableStudyError,
)
from ..json_types import known
from ..layout import (
    DATABASE,
    HALF_DELETED_STUDY_FILE,
    STUDY_FILE,
    RunFolder,
    half_deleted_study_folders,
    project_folders,
    read_json,
    write_json,
)
from ..persisters import PersisterUrl, Place, opened_to_read
from .rows import StudyRow, StudyRows


@dataclass(frozen=True)
class StudyInfo:
    """What a study's folder says about it, so that it can be opened from outside."""

    run_id: str
    project: str
    created: float
    """Seconds since 1970."""
    directions: list[str]
    monitor: str | None
    persister: str | None
    """What holds its rows, as in a run's ``run.json``."""
    space: dict[str, str]
    """The distribution of each parameter, as Optuna writes it."""


class StudyFolder:
    """The folder of one study; its trials' runs are beside it.

    Args:
        root: The folder that holds all runs.
        project: The study's project.
        study_id: The study.
    """

    def __init__(self, root: Path, project: str, study_id: str) -> None:
        self.root, self.project, self.study_id = root, project, study_id
        self.path = root / project / study_id
        self.lock = self.path / "lock"
        self.marker = self.path / STUDY_FILE
        """What makes the folder a study, and says which; see `info`."""
        self.half_deleted = self.path / HALF_DELETED_STUDY_FILE
        """What ``study.json`` is called from the moment on that the study is deleted, until it is gone."""
        self.scores = self.path / "scores.jsonl"
        self.failures = self.path / "failures"

    def create(self) -> None:
        """Make the folder, unless it is there.

        Raises:
            HalfDeletedStudyError: If the study is deleted in part.
            NameTakenError: If a run has that name.
        """
        if self.half_deleted.exists():
            raise HalfDeletedStudyError(self.study_id, self.project, str(self.root))
        run = RunFolder(self.root, self.project, self.study_id)
        if run.marker.exists() or run.half_deleted.exists():
            call = f"Study(run_id={self.study_id!r})"
            raise NameTakenError(call, self.study_id, "run", str(self.path.parent))
        self.path.mkdir(parents=True, exist_ok=True)

    def info(self) -> StudyInfo | None:
        """What was written of the study, ``None`` where there is no such study."""
        return self._info_in(self.marker)

    def info_of_half_deleted(self) -> StudyInfo | None:
        """What was written of a study that is deleted in part, ``None`` where there is none."""
        return self._info_in(self.half_deleted)

    def _info_in(self, file: Path) -> StudyInfo | None:
        stored = read_json(file)
        return known(StudyInfo, stored) if stored else None

    def begin_to_delete(self) -> None:
        """Be no study any more, in one step; what is left is known by a file of another name."""
        self.marker.rename(self.half_deleted)

    def do_not_delete(self) -> None:
        """Be a study again."""
        self.half_deleted.rename(self.marker)

    def write_info(self, **facts: Any) -> None:
        """Write what the study is; when it was made stays."""
        before = self.info()
        created = before.created if before else time.time()
        info = StudyInfo(run_id=self.study_id, project=self.project, created=created, **facts)
        write_json(self.marker, asdict(info))


def study_folders(root: Path, project: str | None = None) -> list[StudyFolder]:
    """The folders of all studies, or of those of one project."""
    paths = sorted(
        path for folder in project_folders(root, project) for path in folder.glob(f"*/{STUDY_FILE}")
    )
    return [StudyFolder(root, path.parent.parent.name, path.parent.name) for path in paths]


def half_deleted_studies(root: Path, project: str | None = None) -> list[StudyFolder]:
    """The folders of studies that are deleted in part."""
    found = half_deleted_study_folders(root, project)
    return [StudyFolder(root, folder.project, folder.run_id) for folder in found]


def place_of(root: Path, persister: Place | None) -> Place:
    """Where rows are."""
    return persister or PersisterUrl.of_file(root / DATABASE)


def newest_row(folder: StudyFolder, persister: Place | None) -> tuple[StudyInfo, StudyRow | None]:
    """What is stored of a study.

    Args:
        folder: Its folder.
        persister: Where its rows are, ``None`` for where its folder says.

    Raises:
        StudyNotFoundError: If there is no such study.
        UnreadableStudyError: If the file that says what it is cannot be read.
        ResumeError: If its rows are where only its script knows.
    """
    info = folder.info()
    if info is None and folder.marker.exists():
        raise UnreadableStudyError(folder.study_id, str(folder.marker))
    if info is None:
        names = [each.study_id for each in study_folders(folder.root)]
        raise StudyNotFoundError(folder.study_id, names, str(folder.root))
    place = persister
    if place is None and info.persister is not None and "://" not in info.persister:
        raise ResumeError(
            f"Study {folder.study_id!r}: its rows are in a {info.persister} that its script opened. With "
            f"Study.open({folder.study_id!r}, persister=...) they are read there."
        )
    if place is None and info.persister is not None:
        place = PersisterUrl.parse(info.persister, "Study.open")
    where = place_of(folder.root, place)
    opened = opened_to_read(where) if isinstance(where, PersisterUrl) else where
    try:
        return info, StudyRows(opened, folder.project, folder.study_id).newest()
    finally:
        if isinstance(where, PersisterUrl) and hasattr(opened, "cleanup"):
            opened.cleanup()
