"""How long training waits for a commit of 200 MB, and how much memory it takes.

Run it as ``python benchmarks/bench.py commit_wait``. A network of 67 MB with Adam's state; every fit is a
process of its own, forked from one that has imported everything, and the ways take turns. The wait is what
comes between the end of an epoch's validation and the beginning of the next epoch, less what it is without
any checkpoint.

Beside Lightning's own stands what the machine could do: ``torch.save`` and a flush, and one copy of the bytes
in memory into a buffer that is there already.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from digits_model import Digits, loaders, trainer
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import AsyncCheckpointIO
from measured import Measured, in_turn, medians, quiet, scratch

from burr_lightning import BurrCallback, Checkpoints

HIDDEN = 4050
WARM_UP = 3
"""Commits that are not counted: until a way removes as many files as it writes, each new one takes new memory
of the system, which took three times as long here."""


class Waits(Callback):
    """The seconds from the end of an epoch until the next one begins, and the memory that they take."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.peaks: list[int] = []
        self._ended = 0.0
        self._before = 0

    def on_train_epoch_end(self, *_: Any) -> None:
        """What comes now is waited for."""
        Path("/proc/self/clear_refs").write_text("5")  # the peak of before is forgotten
        self._before, self._ended = _memory("VmRSS"), time.perf_counter()

    def on_train_epoch_start(self, *_: Any) -> None:
        """It is over."""
        if self._ended:
            self.seconds.append(time.perf_counter() - self._ended)
            self.peaks.append(_memory("VmHWM") - self._before)

    def on_train_end(self, *_: Any) -> None:
        """The last one may wait for what a thread still writes, so it is left out."""


class ByHand(Callback):
    """``torch.save``, a flush and a rename."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Save what Lightning would."""
        temporary = self._folder / "temporary"
        with temporary.open("wb") as file:
            torch.save(trainer._checkpoint_connector.dump_checkpoint(), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / "last.ckpt")


def _memory(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def options_of(way: str, folder: Path) -> dict[str, Any]:
    """What the trainer is given."""
    if way == "none":
        return {}
    if way == "torch.save + fsync":
        return {"callbacks": [ByHand(folder)]}
    if way.startswith("BurrCallback"):
        keep = Checkpoints(asynchronous=way.endswith("asynchronous"))
        burr = BurrCallback("commit-wait", root_dir=folder, tracker=False, checkpoints=keep)
        return {"callbacks": [burr], "enable_checkpointing": True}
    saves = ModelCheckpoint(dirpath=folder / "checkpoints", save_last=True, save_top_k=1)
    plugins = [AsyncCheckpointIO()] if way.startswith("Async") else []
    return {"callbacks": [saves], "plugins": plugins, "enable_checkpointing": True}


def waited(way: str, epochs: int, batches: int) -> tuple[float, int]:
    """The median seconds that a commit is waited for, and the most bytes that one takes."""
    quiet()
    waits = Waits()
    with scratch() as folder:
        options = options_of(way, folder)
        options["callbacks"] = [waits, *options.get("callbacks", [])]
        limits = {"max_epochs": epochs + WARM_UP + 1, "limit_train_batches": batches, "limit_val_batches": 1}
        trainer(**limits, **options).fit(Digits(HIDDEN, depth=2), *loaders(16))
    os.sync()  # what was not flushed is not the next one's to write
    return statistics.median(waits.seconds[WARM_UP:]), max(waits.peaks[WARM_UP:])


def forked(work: Callable[..., Any], *given: Any) -> Any:
    """What a function returns in a process of its own."""
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(work, *given).result()


def copied(size: int) -> float:
    """The seconds of one copy of so many bytes, into memory that is there already."""
    source, buffer = np.ones(size, dtype=np.uint8), np.zeros(size, dtype=np.uint8)
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        np.copyto(buffer, source)
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def measure(*, full: bool) -> list[Measured]:
    """Five rows."""
    epochs, batches, repeats = (5, 8, 7) if full else (3, 4, 3)
    size = 3 * 4 * sum(parameter.numel() for parameter in Digits(HIDDEN, depth=2).parameters())
    peaks: dict[str, list[int]] = {}

    def once(way: str) -> float:
        seconds, peak = forked(waited, way, epochs, batches)
        peaks.setdefault(way, []).append(peak)
        return float(seconds)

    names = (
        *("none", "ModelCheckpoint", "torch.save + fsync", "BurrCallback"),
        *("AsyncCheckpointIO", "BurrCallback, asynchronous"),
    )
    ways: dict[str, Callable[[], float]] = {name: lambda name=name: once(name) for name in names}
    ways["a copy in memory"] = lambda: float(forked(copied, size))
    found = in_turn(repeats, ways)
    none = statistics.median(found.pop("none"))
    sides = medians(found, "s")

    def ratios(own: str, other: str) -> tuple[float, ...]:
        less = 0 if other == "a copy in memory" else none
        both = zip(found[own], found[other], strict=True)
        return tuple((mine - none) / (theirs - less) for mine, theirs in both)

    synchronous = "wait per commit, 200 MB model + Adam, synchronous"
    behind = "wait per commit, asynchronous"
    more = [100 * (own - bare) / size for own, bare in zip(peaks["BurrCallback"], peaks["none"], strict=True)]
    theirs = [statistics.median(peaks[way]) / 1e6 for way in ("BurrCallback", "ModelCheckpoint", "none")]
    memory = dict(zip(("BurrCallback [MB]", "ModelCheckpoint [MB]", "none [MB]"), theirs, strict=True))
    last = "ModelCheckpoint(save_last, save_top_k=1)"
    return [
        Measured(synchronous, last, ratios("BurrCallback", "ModelCheckpoint"), "times", 0.7, sides=sides),
        Measured(
            synchronous,
            "torch.save + fsync",
            ratios("BurrCallback", "torch.save + fsync"),
            "times",
            1.15,
            sides=sides,
        ),
        Measured(
            behind,
            f"AsyncCheckpointIO, {last}",
            ratios("BurrCallback, asynchronous", "AsyncCheckpointIO"),
            "times",
            0.3,
            sides=sides,
        ),
        Measured(
            behind,
            "one copy of the bytes in memory",
            ratios("BurrCallback, asynchronous", "a copy in memory"),
            "times",
            3,
            sides=sides,
        ),
        Measured(
            "extra peak memory of a synchronous commit",
            "the checkpoint's size",
            tuple(more),
            "%",
            5,
            sides=memory,
        ),
    ]
