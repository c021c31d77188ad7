"""Makes the figures of ``docs/figures.md`` again, from runs that are really trained.

Run it as ``PYTHONPATH=examples python docs/run_figures.py``. The runs are kept in a temporary folder. Look at
the figures, in gray as well, before you commit them.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer, seed_everything
from PIL import Image
from quickstart import DigitClassifier, digit_loaders

from burr_lightning import BurrCallback, Checkpoints, Run, list_runs
from burr_lightning.actions import SetLearningRate
from burr_lightning.conditions import max_epochs, plateau
from burr_lightning.figures import curves_figure, overlay_figure, timeline_figure, tree_figure
from burr_lightning.machines import Stage, staged_machine

IMAGES = Path(__file__).resolve().parent / "images"
STAGES = staged_machine(
    [
        Stage("warm_up", max_epochs(3)),
        Stage("fast", plateau("val_loss", patience=2), {"speed_up": SetLearningRate(factor=2.0)}),
        Stage("fine", plateau("val_loss", patience=3), {"slow_down": SetLearningRate(factor=0.1)}),
    ]
)
SHADOW = {"hasty": plateau("val_loss", patience=1), "12 epochs": max_epochs(12)}


def train(run_id: str, epochs: int = 40, **options: Any) -> Run:
    """Train a run of digits, or go on with it."""
    seed_everything(1, verbose=False)
    burr = BurrCallback(run_id, "digits", monitor="val_loss", **options)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=epochs, callbacks=[burr], accelerator="cpu", **quiet)
    trainer.fit(DigitClassifier(), *digit_loaders())
    return burr.run


def forked() -> None:
    """A run in stages, and runs that were forked from it and from each other."""
    options = {
        "machine": STAGES,
        "shadow": SHADOW,
        "checkpoints": Checkpoints(keep_last=50, every_n_epochs=3),
    }
    base = train("base", **options)
    base.fork(epoch=2, run_id="rate-0.01", hparams={"learning_rate": 1e-2})
    base.fork(epoch=2, run_id="rate-0.0002", hparams={"learning_rate": 2e-4})
    base.fork(epoch=8, run_id="rate-0.001", hparams={"learning_rate": 1e-3})
    for run_id in ("rate-0.01", "rate-0.0002", "rate-0.001"):
        train(run_id, **options)
    Run.open("rate-0.01").fork(epoch=5, run_id="rate-0.01-again", hparams={"learning_rate": 3e-3})
    train("rate-0.01-again", **options)


def looked_at() -> Run:
    """A run that waits for a human, who needs a while, and is gone on with some time later."""
    options = {"review_when": plateau("val_loss", patience=2, min_delta=0.01), "stop_when": max_epochs(20)}
    run = train("looked-at", **options)
    while run.question is not None:
        time.sleep(12)
        run.answer("go")
        time.sleep(4)
        run = train("looked-at", **options)
    return run


def main() -> None:
    """Train, draw, and say how large the files are."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "BURR_LIGHTNING_HOME": f"{home}/runs"}
        forked()
        runs = sorted(list_runs("digits"), key=lambda run: run.created)
        figures = {
            "curves": curves_figure(Run.open("base")),
            "overlay": overlay_figure(runs, ["val_loss", "val_acc"]),
        }
        runs.append(Run.open("base").fork(epoch=11, run_id="not-trained-yet"))
        figures["fork-tree"] = tree_figure(runs)
        figures["timeline"] = timeline_figure(looked_at())
        for name, figure in figures.items():
            picture = IMAGES / f"{name}.png"
            figure.savefig(picture, dpi=150)
            with Image.open(picture) as drawn:
                fewer = drawn.convert("RGB").quantize(96)
            fewer.save(picture, optimize=True)
            print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
