"""The weights of a stored run's epochs: where they are, and read as a plain ``state_dict``."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from .checkpoints import CheckpointName, of_epoch
from .files import Stream, save_tensors
from .kept import KeptCheckpoints
from .run_files import RunFiles


class NotPlainError(ValueError):
    """A ``state_dict`` holds objects that are not loaded with ``weights_only=True``."""


class StoredWeights:
    """The checkpoints of a run that hold the weights of the end of an epoch.

    Args:
        files: The run's files.
    """

    def __init__(self, files: RunFiles) -> None:
        self.files = files
        self.paths = {name: path for name, path in files.checkpoints().items() if name.batch is None}
        """Where each of them is, or would be if it were brought from the copy."""

    @property
    def epochs(self) -> list[int]:
        """The epochs whose weights are there, in order."""
        return sorted({name.epoch for name in self.paths})

    def of_epoch(self, epoch: int) -> CheckpointName | None:
        """The checkpoint of an epoch: a full one before one of the weights alone, for it has a digest."""
        full = of_epoch((name for name in self.paths if not name.weights), epoch)
        return full or of_epoch(self.paths, epoch)

    def newest(self) -> CheckpointName | None:
        """The newest checkpoint, after what actions have changed since its epoch ended."""
        return max((name for name in self.paths if not name.weights), default=None)

    def named(self, relative: str | None) -> CheckpointName | None:
        """The checkpoint at a path in the run's folder, ``None`` where it is not there."""
        name = CheckpointName.parse(Path(relative)) if relative else None
        return name if name in self.paths else None

    def load(self, name: CheckpointName) -> dict[str, Any]:
        """The ``state_dict`` that a checkpoint holds.

        Raises:
            FileNotFoundError: If it was pruned meanwhile.
            NotPlainError: If it could not be loaded with ``weights_only=True``.
        """
        weights = dict(KeptCheckpoints(self.files).load(self.paths[name])["state_dict"])
        _refuse_objects(weights)
        return weights


def write_weights_to(stream: Stream, weights: dict[str, Any]) -> None:
    """Write a ``state_dict`` as ``torch.save`` does."""
    save_tensors(weights, stream)


def _refuse_objects(weights: dict[str, Any]) -> None:
    """A module's own extra state may be any object; what it is, only a try tells."""
    import torch  # here, for a run's files can be looked at without it

    plain = (torch.Tensor, torch.nn.Parameter)
    for name, value in weights.items():
        if type(value) in plain:
            continue
        buffer = io.BytesIO()
        torch.save(value, buffer)
        buffer.seek(0)
        try:
            torch.load(buffer, weights_only=True)
        except pickle.UnpicklingError as error:
            raise NotPlainError(f"{name} is a {type(value).__name__}") from error
