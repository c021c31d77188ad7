"""What stop conditions cost: at any epoch of a run, and replayed over many histories.

Run it as ``python benchmarks/stopping.py``; it prints two tables. ``--epochs``, ``--histories`` and
``--length`` make it smaller.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from burr.core import State

from burr_lightning import MetricHistory, compare_stopping
from burr_lightning.conditions import (
    consecutive_increases,
    generalization_loss,
    max_epochs,
    not_finite,
    overfitting,
    plateau,
    progress_quotient,
    reached,
    slope_below,
    spike,
)
from burr_lightning.recording import Recording

CONDITIONS = {
    condition.name: condition
    for condition in (
        plateau("val_loss", 10, min_delta=1e-4),
        reached("val_loss", 0.01),
        not_finite("val_loss"),
        max_epochs(10**9) & ~not_finite("train_loss"),
        overfitting("train_loss", "val_loss", 10),
        slope_below("val_loss", 1e-6),
        spike("val_loss", 1e6),
        generalization_loss("val_loss", 20),
        progress_quotient("train_loss", "val_loss", 3),
        consecutive_increases("val_loss", 8, strip=1),
    )
}


def curves(seed: int, length: int) -> dict[str, list[float]]:
    """Noisy losses that fall, and rise again in the validation."""
    noise = np.random.default_rng(seed)
    time_ = np.arange(length)
    train = np.exp(-time_ / (0.2 * length)) + 0.1 + 0.002 * noise.random(length)
    val = train + 0.3 * (time_ / length) ** 2 + 0.02 * noise.random(length)
    return {"train_loss": train.tolist(), "val_loss": val.tolist()}


def evaluation_times(
    epochs: int, window: int = 300, clock: Callable[[], float] = time.perf_counter
) -> dict[str, tuple[float, float]]:
    """For each condition, the median seconds to ask it after a new check: early, and at ``epochs``."""
    history, columns = MetricHistory(), curves(0, epochs)
    taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in CONDITIONS}
    for epoch in range(epochs):
        history = history.append(epoch, {name: values[epoch] for name, values in columns.items()})
        state: State[Any] = State({"history": history, "epoch": epoch})
        for name, condition in CONDITIONS.items():
            started = clock()
            condition.run(state)
            spent = clock() - started
            if 10 <= epoch < 10 + window:
                taken[name][0].append(spent)
            elif epoch >= epochs - window:
                taken[name][1].append(spent)
    return {
        name: (statistics.median(early), statistics.median(late)) for name, (early, late) in taken.items()
    }


def replay_seconds(histories: int, length: int) -> tuple[float, dict[str, float]]:
    """Seconds of one `compare_stopping` over all, and of each condition alone."""
    recordings = [Recording.of_epochs(curves(seed, length), f"{seed}") for seed in range(histories)]

    def seconds(work: Callable[[], Any]) -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    each = {
        name: seconds(lambda one=condition: compare_stopping(recordings, one, "val_loss", "min"))
        for name, condition in CONDITIONS.items()
    }
    return seconds(lambda: compare_stopping(recordings, CONDITIONS, "val_loss", "min")), each


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100_000)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--length", type=int, default=1000)
    asked = parser.parse_args()
    print(f"{'condition':62} {'epoch 10':>10} {f'epoch {asked.epochs}':>14} {'ratio':>6}")
    for name, (early, late) in evaluation_times(asked.epochs).items():
        print(f"{name:62} {early * 1e6:7.1f} us {late * 1e6:11.1f} us {late / early:6.2f}")
    whole, each = replay_seconds(asked.histories, asked.length)
    print(f"\ncompare_stopping, {asked.histories} histories of {asked.length} epochs, one core")
    for name, spent in each.items():
        print(f"{name:62} {spent:7.2f} s")
    print(f"{f'all {len(each)} conditions at once':62} {whole:7.2f} s")


if __name__ == "__main__":
    main()
