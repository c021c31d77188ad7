"""The search of `test_pruning.py`, whose process ends at once where a trial has told of an epoch.

python pruned_after_death.py PRUNER [TRIAL EPOCH WHAT]
"""

import os
import sys
import warnings

from lightning.pytorch import Trainer
from test_pruning import EPOCHS, PRUNERS, SPACE, TRIALS, losses

from burr_lightning import Checkpoints
from burr_lightning.testing import ScriptedModule, scripted_loader
from burr_lightning.tuning import InProcess, Study
from burr_lightning.tuning.scores import Scores


def objective(trial):
    trainer = Trainer(
        max_epochs=EPOCHS,
        callbacks=[trial.callback(checkpoints=Checkpoints(every_n_epochs=4))],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(ScriptedModule(val_loss=losses(trial.number)), scripted_loader(batches=1))


def dies_after(trial, epoch, what):
    """End this process where the file has got that line, as a SIGKILL would there."""
    tell = Scores.tell

    def told(self, number, **facts):
        tell(self, number, **facts)
        if number == trial and facts.get("epoch") == epoch and what in facts:
            os._exit(9)

    Scores.tell = told


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    pruner, *death = sys.argv[1:]
    if death:
        dies_after(int(death[0]), int(death[1]), death[2])
    options = {"monitor": "val_loss", "n_trials": TRIALS, "seed": 3, "tracker": False, "run_id": "pruned"}
    Study(objective, SPACE, pruner=PRUNERS[pruner](), executor=InProcess(), **options).run()
