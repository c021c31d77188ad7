"""A population of tiny networks, which notes what it trains with: for the tests."""

import json
import os
import signal
from concurrent.futures import Executor, Future
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from optuna.distributions import FloatDistribution
from torch.utils.data import DataLoader, TensorDataset

from burr_lightning.tuning import PopulationBased, Study

SPACE = {
    "lr": FloatDistribution(1e-4, 1e-1, log=True),
    "momentum": FloatDistribution(0.1, 0.9),
    "dropout": FloatDistribution(0.1, 0.5),
}
POPULATION = PopulationBased(population=4, epochs=2)


class Line(LightningModule):
    """Learns a line; momentum, dropout and the order of its data are whatever a fork can get wrong."""

    def __init__(self, lr, momentum=0.5, dropout=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.layers = torch.nn.Sequential(torch.nn.Dropout(dropout), torch.nn.Linear(4, 1))

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", torch.nn.functional.mse_loss(self.layers(batch[0]), batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr, momentum=self.hparams.momentum)


class Notes(Callback):
    """Notes with what each process of a trial begins, and may end it in the middle."""

    def __init__(self, trial, end=None):
        self.trial, self.end = trial, end

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if not hasattr(self, "noted"):
            self.noted = True
            note(self.trial, trainer, pl_module)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.end is not None and trainer.global_step == self.end[0]:
            self.end[1]()


def note(trial, trainer, module):
    [group] = trainer.optimizers[0].param_groups
    first = next(iter(trainer.optimizers[0].state.values()), {})
    facts = {
        "trial": trial.number,
        "attempt": trial.attempt,
        "epoch": trainer.current_epoch,
        "lr": group["lr"],
        "momentum": group["momentum"],
        "dropout": module.layers[0].p,
        "weights": module.layers[1].weight.tolist(),
        "buffer": first["momentum_buffer"].tolist() if first else None,
    }
    with open("notes.jsonl", "a") as file:
        file.write(json.dumps(facts) + "\n")


def noted():
    """What each process of a trial began with, by trial and attempt."""
    facts = map(json.loads, Path("notes.jsonl").read_text().splitlines())
    return {(each["trial"], each["attempt"]): each for each in facts}


def loaders():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 4, generator=generator)
    data = TensorDataset(x, x @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]]))
    return DataLoader(data, batch_size=8, shuffle=True), DataLoader(data, batch_size=32)


def fit(trial, make=Line, max_epochs=None, end=None, **options):
    seed_everything(trial.number, verbose=False)
    module = make(**trial.params)
    trainer = Trainer(
        max_epochs=max_epochs or trial.max_epochs,
        callbacks=[Notes(trial, end), trial.callback(**options)],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, *loaders())


def train(trial):
    fit(trial)


def die_once(trial):
    """Die without a word in the second epoch of trial 6, the first time."""
    dies = (trial.number, trial.attempt) == (6, 1)
    step = (trial.max_epochs - 1) * 4 + 2
    fit(trial, end=(step, lambda: os.kill(os.getpid(), signal.SIGKILL)) if dies else None)


class Cut(BaseException):
    """Ends a study; Lightning makes something else of a KeyboardInterrupt."""


class AtOnce(Executor):
    """Runs what it is given at once, and is interrupted before a trial where it is told to be."""

    def __init__(self, interrupted_at=None):
        self.interrupted_at = interrupted_at

    def submit(self, fn, /, task):
        if task.number == self.interrupted_at:
            raise Cut
        future = Future()
        future.set_result(fn(task))
        return future


def study(run_id, fn=train, interrupted_at=None, **options):
    given = {
        "space": SPACE,
        "sampler": POPULATION,
        "monitor": "val_loss",
        "n_trials": 12,
        "seed": 1,
        "executor": AtOnce(interrupted_at),
        "tracker": False,
        **options,
    }
    return Study(fn, run_id=run_id, **given)


def told(of):
    """What the ledger has of each trial, but for when it was."""
    return [(trial.status, trial.segment, dict(trial.params), trial.value) for trial in of.trials]
