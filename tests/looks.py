"""What several tests look at."""

import math
from typing import Any

import pytest
import torch

from burr_lightning import BurrCallback
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
