"""Makes the figures of studies in ``docs/figures.md`` again, from a study whose trials are really trained.

Run it as ``PYTHONPATH=examples python docs/study_figures.py``. The runs are kept in a temporary folder. Look
at the figures, in gray as well, before you commit them.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from PIL import Image
from quickstart import digit_loaders

from burr_lightning.tuning import Study, Trial
from burr_lightning.tuning.figures import KINDS

IMAGES = Path(__file__).resolve().parent / "images"
SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
    "hidden": IntDistribution(4, 256, log=True),
    "dropout": FloatDistribution(0.0, 0.8),
    "optimizer": CategoricalDistribution(["sgd", "adam", "adamw", "rmsprop"]),
}
OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}


class Digits(LightningModule):
    """Two layers that tell digits apart."""

    def __init__(self, hidden: int, dropout: float, optimizer: str, learning_rate: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.LazyLinear(hidden),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(hidden, 10),
        )
        self.layers(torch.zeros(1, 64))

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        """The loss of a batch."""
        loss = torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])
        if not torch.isfinite(loss):
            raise FloatingPointError("the loss is not finite any more")
        return loss

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        """Logs ``val_loss``."""
        self.log("val_loss", torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer that the trial is to use."""
        kind = OPTIMIZERS[self.hparams["optimizer"]]
        return kind(self.parameters(), lr=self.hparams["learning_rate"])


def objective(trial: Trial) -> None:
    """Train a trial."""
    torch.set_num_threads(1)
    seed_everything(1, verbose=False)
    if trial.attempt == 1 and trial.number == 17:
        os._exit(1)  # so that the figure of the workers has a trial that was lost
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=12, callbacks=[trial.callback()], accelerator="cpu", **quiet)
    trainer.fit(Digits(**trial.params), *digit_loaders())


def main() -> None:
    """Search, draw, and say how large the files are."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"HOME": home, "BURR_LIGHTNING_HOME": f"{home}/runs"}
        study = Study(
            objective,
            SPACE,
            sampler=TPESampler(n_startup_trials=15),
            pruner=MedianPruner(n_startup_trials=6, n_warmup_steps=2),
            monitor="val_loss",
            n_trials=60,
            parallel=3,
            run_id="digits-search",
            seed=4,
            tracker=False,
        ).run()
        for kind, draw in KINDS.items():
            picture = IMAGES / f"study-{kind}.png"
            draw(study).savefig(picture, dpi=150)
            with Image.open(picture) as drawn:
                fewer = drawn.convert("RGB").quantize(96)
            fewer.save(picture, optimize=True)
            print(f"{picture}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
