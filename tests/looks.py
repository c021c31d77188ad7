"""What several tests look at."""

import hashlib
import math
from typing import Any

import pytest
import torch

from burr_lightning import BurrCallback, Run
from burr_lightning.testing import ScriptedModule

NAN = pytest.approx(math.nan, nan_ok=True)


def walked(burr: BurrCallback) -> list[str]:
    """The actions that a run's machine went through."""
    return [step.action for step in burr.run.path]


class CountsBatches(ScriptedModule):
    """Notes the epoch and the number of every batch that it trained on, from weights that are given."""

    def __init__(self, **script: Any) -> None:
        super().__init__(**script)
        self.seen: list[tuple[int, int]] = []
        torch.nn.init.constant_(self.layer.weight, 1.0)
        torch.nn.init.constant_(self.layer.bias, 1.0)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen.append((self.current_epoch, batch_idx))
        return super().training_step(batch, batch_idx)


def ending(run: Run) -> dict[str, Any]:
    """How a run has ended, as far as a run that was interrupted must end like one that was not."""
    stored = torch.load(run.last_checkpoint, weights_only=True)
    return {
        **hash_of(stored),
        "history": {name: [str(value) for value in run.history[name]] for name in run.history.names},
        "path": [(step.action, step.epoch, step.failed) for step in run.path],
        "best": run.best,
        "stop_reason": run.stop_reason,
        "status": run.status,
    }


def hash_of(checkpoint: dict[str, Any]) -> dict[str, str]:
    """The SHA-256 of the weights, of the optimizers and of the schedulers that a checkpoint holds."""
    parts = {"weights": "state_dict", "optimizer": "optimizer_states", "schedulers": "lr_schedulers"}
    return {part: hashlib.sha256(_bytes(checkpoint[key])).hexdigest() for part, key in parts.items()}


def _bytes(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        return value.numpy().tobytes()
    if isinstance(value, dict):
        return b"".join(repr(key).encode() + _bytes(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return b"".join(_bytes(item) for item in value)
    return repr(value).encode()
