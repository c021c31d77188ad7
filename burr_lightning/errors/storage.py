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
    """Files of a run cannot be deleted.

    Attributes:
        run_id: The run.
    """

    def __init__(self, run_id: str, error: OSError) -> None:
        self.run_id = run_id
        super().__init__(
            f"Run {run_id!r}: {error}. What was deleted before that is gone, the rest is as it was. Make "
            f"access there and give the same command again."
        )


class HalfDeletedError(BurrLightningError, RuntimeError):
    """A run is to begin, or to go on, that is deleted in part.

    Attributes:
        run_id: The run.
    """

    def __init__(self, run_id: str, project: str, root: str) -> None:
        self.run_id = run_id
        command = ["burr-lightning", "delete", run_id, "--project", project, "--root-dir", root, "--yes"]
        super().__init__(
            f"Run {run_id!r} is deleted in part, by a command that was cut off or still runs. Have it end, "
            f"and the name is free: {shlex.join(command)}"
        )


class NotDeletedError(BurrLightningError, RuntimeError):
    """A run cannot be deleted: somebody needs it.

    Attributes:
        run_id: The run.
    """

    def __init__(self, run_id: str, why: str) -> None:
        self.run_id = run_id
        super().__init__(f"Run {run_id!r} was not deleted: {why}")


class RowsNotDeletedError(BurrLightningError, RuntimeError):
    """The rows of a run that is to be deleted are out of reach.

    Attributes:
        run_id: The run.
        store: Where they are, without a password.
    """

    def __init__(self, run_id: str, store: str, why: str, rule: str = _ACCESS) -> None:
        self.run_id, self.store = run_id, store
        super().__init__(
            f"Run {run_id!r}: its rows in {store} cannot be deleted ({why}), and the rest stays with them. "
            f"{rule} To delete all but the rows, give --keep-rows."
        )
