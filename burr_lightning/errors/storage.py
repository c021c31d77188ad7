"""Errors of taking something out of stored runs, and of freeing and deleting them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .base import BurrLightningError
from .listed import newest_listed


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
