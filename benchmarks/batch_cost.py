"""What a batch costs more with a `BurrCallback` that nobody listens to.

Run it as ``python benchmarks/bench.py batch_cost``. Batches of one number, in the processor's time of the
thread that trains. What is measured is a hundredth of what a batch costs in Lightning, so all ways train at
the same time, each in a thread of its own, and take turns after every epoch; counted is the middle one of the
batches, for the first ones of an epoch are slower after whatever came before them. Beside it stands a
callback that does nothing, for Lightning calls the hooks of any.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from digits_model import trainer
from lightning.pytorch import Callback, LightningModule
from measured import Measured, medians, quiet, scratch
from torch.utils.data import DataLoader, TensorDataset

from burr_lightning import BurrCallback

BATCHES = 250


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


class Turns:
    """Has threads take turns, one at a time."""

    def __init__(self, names: Iterable[str]) -> None:
        self._order = deque(names)
        self._changed = threading.Condition()

    def end(self, name: str) -> None:
        """One has had its turn, and waits for its next one."""
        with self._changed:
            if self._order[0] == name:
                self._order.rotate(-1)
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._order[0] == name)

    def leave(self, name: str) -> None:
        """One takes no more turns."""
        with self._changed:
            self._order.remove(name)
            self._changed.notify_all()


class Clock(Callback):
    """The processor's seconds of each batch, in the thread that trains."""

    def __init__(self, name: str, turns: Turns) -> None:
        self.spent: list[float] = []
        self._name, self._turns = name, turns
        self._began: float | None = None

    def on_train_epoch_start(self, *_: Any) -> None:
        """What is done once in an epoch is in no batch."""
        self._turns.end(self._name)
        self._began = None

    def on_train_batch_start(self, *_: Any) -> None:
        """A batch begins, and the one before it has ended in every respect."""
        now = time.thread_time()
        if self._began is not None:
            self.spent.append(now - self._began)
        self._began = now


WAYS = ("bare Trainer", "a callback that does nothing", "BurrCallback")


def train(way: str, clock: Clock, turns: Turns, epochs: int, folder: Path) -> None:
    """Train in one of the ways."""
    try:
        others: list[Callback] = {
            "bare Trainer": [],
            "a callback that does nothing": [Callback()],
            "BurrCallback": [BurrCallback("batch-cost", root_dir=folder, tracker=False)],
        }[way]
        options = {"callbacks": [clock, *others], "enable_checkpointing": way == "BurrCallback"}
        data = DataLoader(TensorDataset(torch.zeros(BATCHES, 1)))
        trainer(max_epochs=epochs, **options).fit(Tiny(), data)
    finally:
        turns.leave(way)


def batches(epochs: int) -> dict[str, float]:
    """The microseconds of a batch, in each of the ways."""
    turns = Turns(WAYS)
    clocks = {way: Clock(way, turns) for way in WAYS}
    with scratch() as folder, ThreadPoolExecutor(len(WAYS)) as threads:
        trained = [threads.submit(train, way, clocks[way], turns, epochs, folder) for way in WAYS]
        for each in trained:
            each.result()
    return {way: 1e6 * statistics.median(clock.spent) for way, clock in clocks.items()}


def measure(*, full: bool) -> list[Measured]:
    """The row."""
    quiet()
    epochs, repeats = (40, 15) if full else (20, 5)
    measured = [batches(epochs) for _ in range(repeats)]
    found = {way: [each[way] for each in measured] for way in WAYS}
    more = [own - none for own, none in zip(found["BurrCallback"], found["bare Trainer"], strict=True)]
    what = "cost per batch, nobody listening to stream items"
    return [Measured(what, "bare Trainer", tuple(more), "µs", 3, sides=medians(found, "µs"))]
