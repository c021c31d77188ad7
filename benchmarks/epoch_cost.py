"""What an epoch costs beside its training, with all that a `BurrCallback` does, and with Lightning's own.

Run it as ``python benchmarks/bench.py epoch_cost``. A tiny network, one batch of training and one of
validation, so that what is beside the training is most of the epoch. The ways take turns in one process.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burr.tracking import LocalTrackingClient
from digits_model import Digits, loaders, trainer
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from measured import Measured, in_turn, medians, quiet, scratch

from burr_lightning import BurrCallback, Checkpoints
from burr_lightning.conditions import plateau

NEVER = 10**9


class Clock(Callback):
    """When each epoch begins."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.at: list[float] = []
        self._now = now

    def on_train_epoch_start(self, *_: Any) -> None:
        """An epoch begins."""
        self.at.append(self._now())

    on_train_end = on_train_epoch_start


def burr(folder: Path, checkpoints: Checkpoints | None = None) -> BurrCallback:
    """The default: machine, condition, row, tracker and commit."""
    return BurrCallback(
        "epoch-cost",
        monitor="val_loss",
        stop_when=plateau("val_loss", NEVER),
        root_dir=folder,
        tracker=LocalTrackingClient("lightning", str(folder / "tracked")),
        checkpoints=checkpoints,
    )


def bare(folder: Path) -> dict[str, Any]:
    """Nothing."""
    return {"callbacks": []}


def early_stopping(folder: Path) -> dict[str, Any]:
    """Lightning's stop rule."""
    return {"callbacks": [EarlyStopping("val_loss", patience=NEVER)]}


def lightning_s_own(folder: Path) -> dict[str, Any]:
    """What Lightning has for the same."""
    saves = ModelCheckpoint(dirpath=folder / "checkpoints", save_last=True, save_top_k=1)
    stops = EarlyStopping("val_loss", patience=NEVER)
    return {"callbacks": [stops, saves], "logger": CSVLogger(folder), "enable_checkpointing": True}


def ours(folder: Path) -> dict[str, Any]:
    """The default."""
    return {"callbacks": [burr(folder)], "enable_checkpointing": True}


def ours_without_checkpoints(folder: Path) -> dict[str, Any]:
    """The same, and a commit at the end of the run alone."""
    never = Checkpoints(every_n_epochs=NEVER, keep_best=0)
    return {"callbacks": [burr(folder, never)], "enable_checkpointing": True}


def epoch_of(
    way: Callable[[Path], dict[str, Any]], epochs: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The median milliseconds of an epoch, after some to warm up."""
    marks, warm_up = Clock(clock), 10
    with scratch() as folder:
        options = way(folder)
        options["callbacks"] = [marks, *options["callbacks"]]
        limits = {"max_epochs": epochs + warm_up, "limit_train_batches": 1, "limit_val_batches": 1}
        trainer(log_every_n_steps=1, **limits, **options).fit(Digits(), *loaders())
    spent = [1e3 * (after - before) for before, after in itertools.pairwise(marks.at)]
    return statistics.median(spent[warm_up:])


def measure(*, full: bool) -> list[Measured]:
    """Both rows."""
    quiet()
    epochs, repeats = (200, 15) if full else (100, 5)
    ways = {
        "bare Trainer": bare,
        "EarlyStopping": early_stopping,
        "EarlyStopping + ModelCheckpoint + CSVLogger": lightning_s_own,
        "BurrCallback": ours,
        "BurrCallback without checkpoints": ours_without_checkpoints,
    }
    epoch_of(bare, 20)
    found = in_turn(repeats, {name: lambda way=way: epoch_of(way, epochs) for name, way in ways.items()})
    base, stops, theirs, default, without = found.values()
    sides = medians(found, "ms")
    cost = [(own - none) / (other - none) for own, other, none in zip(default, theirs, base, strict=True)]
    more = [own - other for own, other in zip(without, stops, strict=True)]
    return [
        Measured(
            "cost per epoch of the full default, tiny model",
            "EarlyStopping + ModelCheckpoint(save_last, save_top_k=1) + CSVLogger",
            tuple(cost),
            "times",
            0.6,
            sides=sides,
        ),
        Measured(
            "the same without checkpoints", "bare Trainer + EarlyStopping", tuple(more), "ms", 2, sides=sides
        ),
    ]
