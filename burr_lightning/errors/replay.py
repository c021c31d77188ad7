"""Errors of training an epoch again."""

from __future__ import annotations

from collections.abc import Iterable

from .base import BurrLightningError
from .listed import newest_listed


class ReplayError(BurrLightningError, RuntimeError):
    """An epoch could not be trained again.

    Attributes:
        output: The end of what the command printed, empty where it was not started.
    """

    def __init__(self, message: str, output: str = "") -> None:
        self.output = output
        super().__init__(f"{message}\n{output}" if output else message)


class EpochNotReplayableError(ReplayError, LookupError):
    """An epoch whose commit, or the one before it, is not there.

    Attributes:
        epoch: The epoch that was asked for.
        available: Those that can be trained again, in order.
    """

    def __init__(self, run_id: str, epoch: int, why: str, available: Iterable[int]) -> None:
        self.epoch = epoch
        self.available = sorted(available)
        known = newest_listed([str(each) for each in self.available])
        super().__init__(
            f"Epoch {epoch} of run {run_id!r} cannot be trained again: {why}. It takes the checkpoint "
            f"of the commit before the epoch and that of the one after it. Epochs that have both: {known}. "
            f"BurrCallback(checkpoints=Checkpoints(keep_last=...)) keeps more of them."
        )
