"""The commits of a run, on a rank that does not make them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from burr.core import State

from ..layout import RunFolder
from ..state import committed
from .checkpoints import Checkpoints
from .kept import KeptCheckpoints
from .run_files import RunFiles


class FollowingCommitter:
    """Knows of the commits that the first rank makes.

    Args:
        folder: The run's folder.
        keep: When commits are made, and which checkpoints are kept.
    """

    is_writing = False
    """Whether a checkpoint may still be on its way to the disk: that is the first rank's affair."""

    def __init__(self, folder: RunFolder, keep: Checkpoints) -> None:
        self.keep = keep
        self.facts: dict[str, Any] | None = None
        """Of the newest checkpoint that is whole on disk."""
        self._folder = folder

    @property
    def checkpoints(self) -> Path:
        """The folder that they are in."""
        return self._folder.checkpoints

    @property
    def kept_checkpoints(self) -> KeptCheckpoints:
        """The checkpoints that are there."""
        return KeptCheckpoints(RunFiles(self._folder))

    def named(self, state: State[Any]) -> State[Any]:
        """A state that names the newest checkpoint."""
        return committed(state, self.facts) if self.facts is not None else state
