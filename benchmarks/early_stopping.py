"""Comparing 10 stop conditions on many recorded runs, beside Lightning's `EarlyStopping` in a loop over them.

Run it as ``python benchmarks/bench.py early_stopping``. The loop asks ten settings of `EarlyStopping` for its
decision after every epoch until it stops, by the method that decides and without a Trainer around it, on some
of the histories; what it takes for all of them is that many times as much.
"""

from __future__ import annotations

import time

import torch
from lightning.pytorch.callbacks import EarlyStopping
from measured import Measured, in_turn, medians, quiet
from stopping import curves, replay_seconds

SETTINGS = [
    {"patience": patience, "min_delta": delta} for patience in (5, 10, 20, 50, 100) for delta in (0, 1e-4)
]


def looped_seconds(histories: int, length: int) -> float:
    """The processor's seconds of ten settings on some histories."""
    recorded = [
        [torch.tensor(value) for value in curves(seed, length)["val_loss"]] for seed in range(histories)
    ]
    began = time.process_time()
    for settings in SETTINGS:
        for values in recorded:
            stops = EarlyStopping("val_loss", **settings)  # type: ignore[arg-type]
            for value in values:
                stop, _ = stops._evaluate_stopping_criteria(value)
                if stop:
                    break
    return time.process_time() - began


def measure(*, full: bool) -> list[Measured]:
    """The row."""
    quiet()
    histories, length, looped, repeats = (1000, 1000, 100, 5) if full else (200, 1000, 20, 3)
    name, other = "compare_stopping", "EarlyStopping in a loop"
    found = in_turn(
        repeats,
        {
            name: lambda: replay_seconds(histories, length)[0],
            other: lambda: looped_seconds(looped, length) * histories / looped,
        },
    )
    ratios = tuple(theirs / own for own, theirs in zip(found[name], found[other], strict=True))
    what = f"comparing 10 conditions on {histories:,} histories of {length:,} epochs"
    sides = medians(found, "s")
    return [Measured(what, "looping Lightning's EarlyStopping over them", ratios, "times", 50, True, sides)]
