"""The checkpoints of a run that are kept, for a run that goes back to one."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from burr.core import State

from ..errors import NoCheckpointError
from .checkpoints import of_epoch
from .run_files import RunFiles
from .shards import rest_of, weights_of

_OURS = "burr_lightning"
"""Where in a checkpoint is what is ours: of what differs between processes, what the first one has."""


@dataclass(frozen=True)
class KeptPlace:
    """A checkpoint on disk."""

    path: Path
    relative: str
    """Its path in the run's folder."""
    epoch: int


class KeptCheckpoints:
    """Finds and loads the checkpoints of one run.

    Args:
        files: The run's files.
    """

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self.root = files.folder.path

    def find(
        self,
        which: Literal["best", "last"] | int,
        state: State[Any],
        call: str,
        *,
        inside_epoch: bool = False,
    ) -> KeptPlace:
        """The checkpoint of the best epoch, the newest one before the epoch of now, or that of an epoch.

        Args:
            which: One of these.
            state: The state of now.
            call: The call as the user wrote it, for errors.
            inside_epoch: Whether the epoch of now is under way, else it has just ended.

        Raises:
            NoCheckpointError: If there is none.
            CopyError: If it is only in the copy, and that cannot be read.
        """
        if which == "best":
            return self._best(state, call)
        known = self._files.checkpoints()
        ended = {name: path for name, path in known.items() if name.batch is None and not name.weights}
        before = state["epoch"] + inside_epoch
        if which == "last":
            name = max((name for name in ended if name.epoch < before), default=None)
        else:
            name = of_epoch(ended, which)
        if name is None:
            epochs = ", ".join(str(epoch) for epoch in sorted({name.epoch for name in ended})) or "none"
            raise NoCheckpointError(
                f"{call}, after epoch {state['epoch']}: there is no such checkpoint. Kept are those of "
                f"the epochs: {epochs}. More are kept with Checkpoints(keep_last=...)."
            )
        path = ended[name]
        if not self._files.fetched(path):
            raise NoCheckpointError(f"{call}: the checkpoint {path.name} {self._files.state_of(path)}.")
        return KeptPlace(path, self._files.relative(path), name.epoch)

    def _best(self, state: State[Any], call: str) -> KeptPlace:
        best = state["best"]
        if best is None or best["checkpoint"] is None:
            monitor = state["monitor"]
            why = "no epoch has been the best yet: every value was NaN, or that epoch was not committed"
            if monitor is None:
                why = "no metric is monitored: give BurrCallback(monitor=...)"
            raise NoCheckpointError(f"{call}, after epoch {state['epoch']}: {why}.")
        path = self.root / best["checkpoint"]
        if not self._files.fetched(path):
            raise NoCheckpointError(
                f"{call}: the checkpoint of the best epoch, {best['checkpoint']}, "
                f"{self._files.state_of(path)}. The best are kept with Checkpoints(keep_best=1) or more."
            )
        return KeptPlace(path, best["checkpoint"], best["epoch"])

    def load(self, path: Path) -> dict[str, Any]:
        """What a checkpoint holds, in the memory of the CPU: on a GPU it may find no room beside what trains.

        It was written by this run, so that it may hold any object. Of a folder, that is all but the
        optimizers.
        """
        if path.is_dir():
            rest = self._loaded(rest_of(path))
            buffers = rest[_OURS].get("buffers", {})
            return {**rest, "state_dict": weights_of(path, "cpu") | buffers}
        return self._loaded(path)

    def load_rest(self, path: Path) -> dict[str, Any]:
        """What a checkpoint holds beside weights and optimizers, which may be there or not."""
        return self._loaded(rest_of(path) if path.is_dir() else path, mmap=True)

    def _loaded(self, path: Path, **options: Any) -> dict[str, Any]:
        import torch  # here, for a run's files can be looked at without it

        try:
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, **options)
        except pickle.UnpicklingError:
            content = torch.load(path, map_location="cpu", weights_only=False, **options)
        return content


def write_weights(path: Path, weights: dict[str, Any]) -> None:
    """Write a ``state_dict``, replacing the file in one step."""
    import torch  # here, for a run's files can be looked at without it

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    torch.save(weights, temporary)
    temporary.replace(path)
