"""What a batch costs more with a `BurrCallback` that nobody listens to.

Run it as ``python benchmarks/bench.py batch_cost``. Batches of one number, in the processor's time of the
thread that trains, the fastest of several epochs: what is measured is a hundredth of what a batch costs in
Lightning. Beside it stands a callback that does nothing, for Lightning calls the hooks of any.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from digits_model import trainer
from lightning.pytorch import Callback, LightningModule
from measured import Measured, in_turn, medians, quiet, scratch
from torch.utils.data import DataLoader, TensorDataset

from burr_lightning import BurrCallback

BATCHES = 1000


class Tiny(LightningModule):
    """One weight."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """A batch to learn from."""
        return self.layer(batch[0]).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The cheapest there is."""
        return torch.optim.SGD(self.parameters(), lr=0.0)


class Clock(Callback):
    """The processor's seconds of each epoch's batches, in the thread that trains."""

    def __init__(self) -> None:
        self.spent: list[float] = []
        self._began = 0.0

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """What is done once in an epoch is over when the first batch is."""
        if batch_idx == 1:
            self._began = time.thread_time()

    def on_train_epoch_end(self, *_: Any) -> None:
        """They are over, and what comes at the end of an epoch is still to come."""
        self.spent.append(time.thread_time() - self._began)


def batch_of(way: str, epochs: int) -> float:
    """The microseconds of a batch."""
    clock, data = Clock(), DataLoader(TensorDataset(torch.zeros(BATCHES, 1)))
    with scratch() as folder:
        others: list[Callback] = {
            "bare Trainer": [],
            "a callback that does nothing": [Callback()],
            "BurrCallback": [BurrCallback("batch-cost", root_dir=folder, tracker=False)],
        }[way]
        options = {"callbacks": [clock, *others], "enable_checkpointing": way == "BurrCallback"}
        trainer(max_epochs=epochs, **options).fit(Tiny(), data)
    return 1e6 * min(clock.spent) / (BATCHES - 1)


def measure(*, full: bool) -> list[Measured]:
    """The row."""
    quiet()
    epochs, repeats = (10, 15) if full else (6, 5)
    ways = ("bare Trainer", "a callback that does nothing", "BurrCallback")
    found = in_turn(repeats, {way: lambda way=way: batch_of(way, epochs) for way in ways})
    more = [own - none for own, none in zip(found["BurrCallback"], found["bare Trainer"], strict=True)]
    what = "cost per batch, nobody listening to stream items"
    return [Measured(what, "bare Trainer", tuple(more), "µs", 3, sides=medians(found, "µs"))]
