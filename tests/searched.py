"""A search in processes of its own, that is held in the middle for whoever wants to kill it.

python searched.py HELD_TRIAL HELD_EPOCH
"""

import json
import os
import sys
import time

from digits import DigitNet, digit_loaders
from lightning.pytorch import Callback, Trainer, seed_everything
from looks import ending
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler

from burr_lightning import Run
from burr_lightning.tuning import Study

STUDY = "search"
_PATIENCE = 600.0


class Held(Callback):
    """Tells that an epoch begins, and holds the process until it is asked to end."""

    def __init__(self, epoch):
        self._epoch = epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == self._epoch and batch_idx == 1:
            os.write(1, f"held {os.getpid()}\n".encode())
            until = time.monotonic() + _PATIENCE
            while not trainer.received_sigterm and time.monotonic() < until:
                time.sleep(0.01)


def objective(trial):
    held_trial, held_epoch = map(int, os.environ["HELD"].split())
    held = [Held(held_epoch)] if trial.number == held_trial and trial.attempt == 1 else []
    seed_everything(trial.number)
    trainer = Trainer(
        max_epochs=3,
        callbacks=[trial.callback(), *held],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(DigitNet(learning_rate=trial.params["learning_rate"]), *digit_loaders(512))


def main(trial, epoch):
    os.environ["HELD"] = f"{trial} {epoch}"
    space = {"learning_rate": FloatDistribution(1e-4, 1e-1, log=True)}
    options = {"monitor": "val_loss", "n_trials": 4, "parallel": 2, "run_id": STUDY, "seed": 1}
    study = Study(objective, space, sampler=RandomSampler(), **options).run()
    print(json.dumps([_result(each) for each in study.trials]))


def _result(trial):
    result = {"params": trial.params, "value": trial.value, "status": trial.status}
    tries = {"attempts": trial.attempts, "deaths": trial.deaths, "place": trial.place}
    return {"result": result, "ending": ending(Run.open(trial.run_id)), "tries": tries}


if __name__ == "__main__":
    main(*sys.argv[1:])
