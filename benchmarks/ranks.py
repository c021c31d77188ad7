"""What it costs an epoch that ranks agree: how often they speak, and how long that takes.

Run it as ``python benchmarks/ranks.py``. It trains a tiny module on ``--ranks`` processes for ``--epochs``
epochs, once plain and once with a callback that makes commits.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from burr_lightning import BurrCallback
from burr_lightning.ranks import Ranks
from burr_lightning.testing import ScriptedModule, scripted_loader

METHODS = ("agreed", "together", "of_all", "any", "collected")
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


class Spoken:
    """How often the ranks have spoken, and how long this one has listened."""

    def __init__(self) -> None:
        self.times, self.seconds, self._inside = 0, 0.0, False
        for name in METHODS:
            setattr(Ranks, name, self._timed(getattr(Ranks, name)))

    def _timed(self, method: Any) -> Any:
        def timed(ranks: Ranks, *given: Any, **options: Any) -> Any:
            if self._inside or ranks.leads:  # the first rank's time is that of what it decides
                return method(ranks, *given, **options)
            self._inside, began = True, time.perf_counter()
            try:
                return method(ranks, *given, **options)
            finally:
                self._inside = False
                self.times, self.seconds = self.times + 1, self.seconds + time.perf_counter() - began

        return timed


class Epochs(Callback):
    """Writes down how long epochs take, and what `Spoken` counts, on the last rank."""

    def __init__(self, path: Path, spoken: Spoken | None) -> None:
        self._path, self._spoken = path, spoken
        self._began: list[float] = []
        self._counts: list[tuple[int, float]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """An epoch begins."""
        self._began.append(time.perf_counter())
        if self._spoken is not None:
            self._counts.append((self._spoken.times, self._spoken.seconds))

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Write it down."""
        if trainer.global_rank == trainer.world_size - 1:
            self._path.write_text(json.dumps([self._began, self._counts]))


def train(
    folder: Path, ranks: int, epochs: int, *, ours: bool
) -> tuple[list[float], list[float], list[float]]:
    """The milliseconds of each epoch, and how often the ranks spoke in it, and for how many milliseconds."""
    path, spoken = folder / f"{ours}.json", Spoken() if ours else None
    burr = [BurrCallback("ranks", root_dir=folder / "runs", tracker=False)] if ours else []
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=ranks,
        strategy="ddp_fork",
        enable_checkpointing=ours,
        callbacks=[Epochs(path, spoken), *burr],
        **QUIET,
    )
    trainer.fit(ScriptedModule(val_loss=[1.0]), scripted_loader(batches=4), scripted_loader(batches=1))
    began, counts = json.loads(path.read_text())
    times = [1000 * (then - now) for now, then in itertools.pairwise(began)]
    spoke = [then[0] - now[0] for now, then in itertools.pairwise(counts)]
    listened = [1000 * (then[1] - now[1]) for now, then in itertools.pairwise(counts)]
    return times, spoke, listened


def main() -> None:
    """Train twice, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plain, _, _ = train(Path(folder), given.ranks, given.epochs, ours=False)
        times, spoke, listened = train(Path(folder), given.ranks, given.epochs, ours=True)
    print(f"{given.ranks} ranks, {given.epochs} epochs of 4 batches; medians of an epoch")
    print(f"without the callback: {statistics.median(plain):.1f} ms")
    print(f"with it, a commit included: {statistics.median(times):.1f} ms")
    print(f"the last rank spoke {statistics.median(spoke):.0f} times")
    print(f"and waited {statistics.median(listened):.1f} ms for it, the commit of the first one included")


if __name__ == "__main__":
    main()
