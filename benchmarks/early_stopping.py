"""Comparing stop conditions on many recorded runs, beside Lightning's `EarlyStopping` in a loop over them.

Run it as ``python benchmarks/bench.py early_stopping``. The loop asks ten settings of `EarlyStopping` for its
decision after every epoch until it stops, by the method that decides and without a Trainer around it, on some
of the histories; what it takes for all of them is that many times as much. Its values are tensors already.
Beside it `compare_stopping`, which reads its values from lists and has best values, regrets and baselines to
tell too: with the same ten settings as conditions, which must stop where the loop does, and with ten
conditions of different kinds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import torch
from burr.core import Condition
from lightning.pytorch.callbacks import EarlyStopping
from measured import Measured, in_turn, medians, quiet
from stopping import CONDITIONS, curves

from burr_lightning import compare_stopping
from burr_lightning.conditions import not_finite, plateau
from burr_lightning.recording import Recording

SETTINGS = [
    {"patience": patience, "min_delta": delta} for patience in (5, 10, 20, 50, 100) for delta in (0, 1e-4)
]
SAME = {
    f"{settings}": plateau("val_loss", **settings) | not_finite("val_loss")  # type: ignore[arg-type]
    for settings in SETTINGS
}
OURS = {"the same 10 settings": SAME, "10 kinds of condition": CONDITIONS}

Stops = list[tuple[int | None, ...]]
"""For each history, the epoch after which each condition or setting stops."""


def recordings(histories: int, length: int) -> list[Recording]:
    """Curves as a training logs them, in 32 bits."""
    columns = [
        {name: np.float32(values).tolist() for name, values in curves(seed, length).items()}
        for seed in range(histories)
    ]
    return [Recording.of_epochs(of_one, f"{seed}") for seed, of_one in enumerate(columns)]


def compared(recorded: list[Recording], conditions: Mapping[str, Condition]) -> tuple[float, Stops]:
    """The processor's seconds of one `compare_stopping`, and where it says each condition stops."""
    began = time.process_time()
    stops = compare_stopping(recorded, conditions, "val_loss", "min").stops
    spent = time.process_time() - began
    each = len(conditions)
    of_histories = [stops[first : first + each] for first in range(0, len(stops), each)]
    return spent, [tuple(stop.epoch for stop in of_one) for of_one in of_histories]


def looped(recorded: list[Recording]) -> tuple[float, Stops]:
    """The processor's seconds of ten settings of `EarlyStopping` in a loop, and where each stops."""
    tensors = [[torch.tensor(value) for value in one.series["val_loss"].values] for one in recorded]
    began = time.process_time()
    found = [tuple(_stop(values, settings) for settings in SETTINGS) for values in tensors]
    return time.process_time() - began, found


def _stop(values: list[torch.Tensor], settings: Mapping[str, float]) -> int | None:
    stops = EarlyStopping("val_loss", **settings)  # type: ignore[arg-type]
    for epoch, value in enumerate(values):
        stop, _ = stops._evaluate_stopping_criteria(value)
        if stop:
            return epoch
    return None


def measure(*, full: bool) -> list[Measured]:
    """A row for the same settings, and one for other conditions.

    Raises:
        RuntimeError: If the same settings do not stop where the loop does.
    """
    quiet()
    histories, length, some, repeats = (1000, 1000, 100, 5) if full else (200, 1000, 20, 3)
    recorded = recordings(histories, length)
    _refuse_other_stops(recorded[:some])
    loop = "EarlyStopping in a loop"
    ways = {name: lambda of=conditions: compared(recorded, of)[0] for name, conditions in OURS.items()}
    found = in_turn(repeats, {**ways, loop: lambda: looped(recorded[:some])[0] * histories / some})
    rows = []
    for name in OURS:
        ratios = tuple(theirs / own for own, theirs in zip(found[name], found[loop], strict=True))
        what = f"comparing {name} on {histories:,} histories of {length:,} epochs"
        sides = medians({way: found[way] for way in (name, loop)}, "s")
        rows.append(
            Measured(what, "looping Lightning's EarlyStopping over them", ratios, "times", 50, True, sides)
        )
    return rows


def _refuse_other_stops(recorded: list[Recording]) -> None:
    _, ours = compared(recorded, SAME)
    _, theirs = looped(recorded)
    if ours != theirs:
        raise RuntimeError(f"The same settings stop elsewhere: {ours} here, {theirs} in the loop.")


def main() -> None:
    """Print the rows."""
    for row in measure(full=True):
        sides = ", ".join(f"{name} {value:.3g}" for name, value in row.sides.items())
        print(f"{row.what}: {row.median:.0f} times {row.against} ({sides})")


if __name__ == "__main__":
    main()
