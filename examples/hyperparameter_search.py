"""Hyperparameter search: thirty networks, two at a time; those that do badly are given up.

Optuna's TPE says what to try, and its Hyperband which networks are not worth more epochs. What to look at:
the study that Burr's page lists (`burr-lightning ui`) with its trials as children, the path of a trial that
was given up, which ends in `pruned`, and that the script, killed at any instant and started again, goes on.
The figure ``hyperparameter_search.png`` has the value of each trial, and the best one so far as a line.

`--random` tries at random and gives nothing up, for comparison.
"""

from __future__ import annotations

import argparse
import time

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import HyperbandPruner
from optuna.samplers import RandomSampler, TPESampler
from quickstart import digit_loaders
from torch.utils.data import DataLoader

from burr_lightning import Run
from burr_lightning.tuning import Study, Trial

EPOCHS = 12
SPACE = {
    "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
    "width": IntDistribution(16, 256, log=True),
    "dropout": FloatDistribution(0.0, 0.6),
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "batch_size": CategoricalDistribution([16, 32, 64, 128]),
}


class Network(LightningModule):
    """One hidden layer, as wide as the trial says.

    Args:
        learning_rate: Adam's.
        width: Of the hidden layer.
        dropout: The share of it that is left out in each step, 0 to 1.
        weight_decay: AdamW's.
        batch_size: Images in a batch.
    """

    def __init__(
        self, learning_rate: float, width: int, dropout: float, weight_decay: float, batch_size: int
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(64, width),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.Linear(width, 10),
        )

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        """The loss of a batch."""
        images, labels = batch
        return torch.nn.functional.cross_entropy(self.layers(images), labels)

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        """Log the loss and the accuracy."""
        images, labels = batch
        scores = self.layers(images)
        self.log("val_loss", torch.nn.functional.cross_entropy(scores, labels))
        self.log("val_acc", (scores.argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        rate, decay = self.hparams["learning_rate"], self.hparams["weight_decay"]
        return torch.optim.AdamW(self.parameters(), lr=rate, weight_decay=decay)


def objective(trial: Trial) -> None:
    """Train one network; its value is the lowest validation loss."""
    seed_everything(trial.number)
    train, val = digit_loaders()
    train = DataLoader(train.dataset, batch_size=trial.params["batch_size"], shuffle=True)
    trainer = Trainer(
        max_epochs=EPOCHS,
        callbacks=[trial.callback()],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Network(**trial.params), train, val)


def main() -> None:
    """Search, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--random", action="store_true", help="try at random, and give nothing up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=30)
    options = parser.parse_args()
    began = time.monotonic()
    study = Study(
        objective,
        SPACE,
        sampler=RandomSampler() if options.random else TPESampler(multivariate=True),
        pruner=None if options.random else HyperbandPruner(min_resource=1, max_resource=EPOCHS),
        monitor="val_loss",
        n_trials=options.trials,
        parallel=2,
        run_id=f"{'random' if options.random else 'tpe'}-{options.seed}",
        project="digits",
        seed=options.seed,
    ).run()
    seconds = time.monotonic() - began
    best = study.best
    assert best is not None
    run = Run.open(best.run_id, project="digits")
    statuses = [str(each.status) for each in study.trials]
    counts = [f"{statuses.count(status)} {status}" for status in ("finished", "pruned", "failed")]
    epochs = sum(len(Run.open(each.run_id, project="digits").history) for each in study.trials)
    print(f"\nTrials:   {', '.join(counts)}, {epochs} epochs in {seconds:.0f} s")
    print(
        f"Best:     trial {best.number}, val_loss {best.value:.4f}, {max(run.history['val_acc']):.1%} right"
    )
    print(f"Tried:    {dict(best.params)}")
    print(f"Weights:  {run.best_checkpoint}")
    pruned = next((each for each in study.trials if each.status == "pruned"), None)
    if pruned is not None:
        print(f"Given up: trial {pruned.number}, {Run.open(pruned.run_id, project='digits').path}")
        print(f"Why:      {pruned.reason}")
    study.plot("history", "hyperparameter_search.png")
    print("Figure:   hyperparameter_search.png")


if __name__ == "__main__":
    main()
