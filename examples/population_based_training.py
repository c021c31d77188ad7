"""Population-based training: weak networks go on from strong ones' weights, with other hyperparameters.

Six networks learn scikit-learn's digits, two epochs at a time. One that is among the worst two forks the
run of one of the best two, at its last commit, and goes on with hyperparameters near those. What to look at:
the tree of who has gone on from whom, with what each has changed, and that the learning rate of the best one
is a schedule which nobody has written. A random search that begins with the same six networks, and trains
each of them as long, is put beside it. The figure ``population_based_training.png`` has the runs as lines
over their epochs: a fork leaves its parent's line where it has gone on from it.

Kill it at any time and run it again: it goes on, and comes to the same. `burr-lightning runs --tree` shows
the runs.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

import torch
from lightning.pytorch import Trainer, seed_everything
from optuna.distributions import FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler
from quickstart import DigitClassifier, digit_loaders
from torch import nn

from burr_lightning import list_runs
from burr_lightning.figures import tree_figure
from burr_lightning.tuning import PopulationBased, Study, Trial, TrialRecord

POPULATION, EPOCHS, SEGMENTS = 6, 2, 6
SPACE = {
    "learning_rate": FloatDistribution(1e-4, 1.0, log=True),
    "momentum": FloatDistribution(0.3, 0.95),
    "weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "dropout": FloatDistribution(0.05, 0.6),
}


class Digits(DigitClassifier):
    """One hidden layer, and SGD."""

    def __init__(self, learning_rate: float, momentum: float, weight_decay: float, dropout: float) -> None:
        super().__init__(learning_rate)
        self.save_hyperparameters()
        self.network = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout(dropout), nn.Linear(64, 10)
        )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD, as the hyperparameters say."""
        momentum, weight_decay = self.hparams["momentum"], self.hparams["weight_decay"]
        return torch.optim.SGD(self.parameters(), self.learning_rate, momentum, weight_decay=weight_decay)


def train(trial: Trial) -> None:
    """Train one segment of a member, or all epochs at once where there is no population."""
    seed_everything(trial.number, verbose=False)
    trainer = Trainer(
        max_epochs=trial.max_epochs or EPOCHS * SEGMENTS,
        callbacks=[trial.callback(stream_every_n_batches=45)],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Digits(**trial.params), *digit_loaders())


def search(name: str, sampler: BaseSampler | PopulationBased, n_trials: int) -> Study:
    """Run a study, or go on with it."""
    # In this process: so small a network trains faster than a process starts, as each trial has without it.
    with ThreadPoolExecutor(1) as executor:
        study = Study(
            train,
            SPACE,
            sampler=sampler,
            monitor="val_loss",
            n_trials=n_trials,
            executor=executor,
            seed=0,
            run_id=name,
            project="digits-population",
        )
        return study.run()


def lineage(study: Study, best: TrialRecord) -> list[TrialRecord]:
    """The best trial and those that it goes on from, the oldest first."""
    before = [] if best.parent is None else lineage(study, study.trials[best.parent])
    return [*before, best]


def main() -> None:
    """Search in both ways with the same number of epochs, and say what came of it."""
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    members = PopulationBased(population=POPULATION, epochs=EPOCHS)
    evolved = search("population", members, POPULATION * SEGMENTS)
    constant = search("constant", RandomSampler(), POPULATION)
    assert evolved.best is not None
    assert constant.best is not None
    print(f"\n{evolved.tree()}\n")
    print(f"Best:           {evolved.best.run_id}, val_loss {evolved.best.value:.4f}")
    rates = [f"{trial.params['learning_rate']:.3f}" for trial in lineage(evolved, evolved.best)]
    print(f"  its rates:    {' '.join(rates)}")
    print(f"Random search:  {constant.best.run_id}, val_loss {constant.best.value:.4f} in its best epoch")
    runs = [run for run in list_runs("digits-population") if run.run_id.startswith("population-")]
    tree_figure(runs).savefig("population_based_training.png", dpi=150)
    print("Figure:         population_based_training.png")


if __name__ == "__main__":
    main()
