"""Errors of taking something out of stored runs, and of freeing and deleting them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from .base import BurrLightningError
from .listed import newest_listed

_ACCESS = "Make access there (a password is given with --persister) and give the same command again."


class ExportError(BurrLightningError, RuntimeError):
    """Something of a run cannot be written to a file."""


class ExistsError(ExportError, FileExistsError):
    """A file is there already.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} is there already. Give another name, or --force to replace it.")


class NoWeightsError(ExportError, LookupError):
    """The weights of an epoch are not there.

    Attributes:
        run_id: The run.
        available: The epochs whose weights are.
    """

    def __init__(self, run_id: str, why: str, available: Iterable[int]) -> None:
        self.run_id, self.available = run_id, sorted(available)
        known = newest_listed([str(epoch) for epoch in self.available])
        super().__init__(
            f"Run {run_id!r}: {why}. Epochs whose weights are there: {known}; see them with 'burr-lightning "
            f"export {run_id}'. More are kept with Checkpoints(keep_last=..., keep_best=...)."
        )


class StorageError(BurrLightningError, OSError):
    """Files of a run or a study cannot be deleted.

    Attributes:
        run_id: The run, or the study.
    """

    def __init__(self, run_id: str, error: OSError, *, one: str = "Run") -> None:
        self.run_id = run_id
        super().__init__(
            f"{one} {run_id!r}: {error}. What was deleted before that is gone, the rest is as it was. Make "
            f"access there and give the same command again."
        )


class HalfDeletedError(BurrLightningError, RuntimeError):
    """A run is to begin, or to go on, that is deleted in part.

    Attributes:
        run_id: The run.
    """

    _ONE, _COMMAND = "Run", "delete"

    def __init__(self, run_id: str, project: str, root: str) -> None:
        self.run_id = run_id
        where = ["--project", project, "--root-dir", root]
        command = ["burr-lightning", *self._COMMAND.split(), run_id, *where, "--yes"]
        super().__init__(
            f"{self._ONE} {run_id!r} is deleted in part, by a command that was cut off or still runs. Have "
            f"it end, and the name is free: {shlex.join(command)}"
        )


class HalfDeletedStudyError(HalfDeletedError):
    """A study is to begin, or to go on, or a run of its name, and it is deleted in part.

    Attributes:
        run_id: The study.
    """

    _ONE, _COMMAND = "Study", "study delete"


class NotDeletedError(BurrLightningError, RuntimeError):
    """A run cannot be deleted: somebody needs it.

    Attributes:
        run_id: The run.
        why: Who, and what to do about it.
    """

    _ONE = "Run"

    def __init__(self, run_id: str, why: str) -> None:
        self.run_id, self.why = run_id, why
        super().__init__(f"{self._ONE} {run_id!r} was not deleted: {why}")


class StudyNotDeletedError(NotDeletedError):
    """A study cannot be deleted: somebody needs it, or one of its trials.

    Attributes:
        run_id: The study.
        why: Who, and what to do about it.
    """

    _ONE = "Study"


class NameNotWholeError(BurrLightningError, LookupError):
    """What is to be deleted was not called by its whole name.

    Attributes:
        wanted: What was typed.
        meant: What it is the beginning of.
    """

    def __init__(self, wanted: str, meant: str) -> None:
        self.wanted, self.meant = wanted, meant
        super().__init__(
            f"{wanted!r} is the beginning of {meant!r}, and --yes takes whole names: where {wanted!r} was "
            f"deleted before, the same command would delete another one. If it is meant, write {meant}."
        )


class RowsNotDeletedError(BurrLightningError, RuntimeError):
    """The rows of a run or a study that is to be deleted are out of reach.

    Attributes:
        run_id: The run, or the study.
        store: Where they are, without a password.
        why: Why they are.
        rule: What to do about it.
    """

    def __init__(self, run_id: str, store: str, why: str, rule: str = _ACCESS, *, one: str = "Run") -> None:
        self.run_id, self.store, self.why, self.rule = run_id, store, why, rule
        super().__init__(
            f"{one} {run_id!r}: its rows in {store} cannot be deleted ({why}), and the rest stays with them. "
            f"{rule} To delete all but the rows, give --keep-rows."
        )
