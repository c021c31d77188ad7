"""Trains in forks of a process that has imported everything, for tests that kill what trains.

A line on stdin is a job, as JSON; answers are lines on stdout. A job trains `DigitNet`; at the beginning of
the epoch `stop_at` it says so and waits to be killed. With `clock`, the clock goes back a day at every epoch.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from digits import DigitNet, digit_loaders, weights_hash
from lightning.pytorch import Callback, Trainer, seed_everything

from burr_lightning import BurrCallback


class StopsAndSetsClock(Callback):
    def __init__(self, job):
        self.job = job

    def on_train_epoch_start(self, trainer, module):
        if self.job.get("clock"):
            Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(f"-{trainer.current_epoch + 1}d")
        if trainer.current_epoch == self.job.get("stop_at"):
            say(stopped_in=trainer.current_epoch)
            signal.pause()


def say(**facts):
    os.write(1, (json.dumps(facts) + "\n").encode())


def train(job):
    torch.set_num_threads(1)
    os.environ["BURR_LIGHTNING_HOME"] = job["root"]
    seed_everything(7, verbose=False)
    burr = BurrCallback(
        run_id=job["run_id"], monitor="val_loss", persister=job.get("persister"), tracker=False
    )
    trainer = Trainer(
        max_epochs=4,
        callbacks=[burr, StopsAndSetsClock(job)],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = DigitNet()
    trainer.fit(module, *digit_loaders(256))
    say(weights=weights_hash(module), val_loss=list(burr.history["val_loss"]), epoch=burr.state["epoch"])


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            say(pid=os.getpid())
            try:
                train(json.loads(line))
            except BaseException as error:
                say(error=f"{type(error).__name__}: {error}")
            os._exit(0)
        os.waitpid(child, 0)
        say(over=True)
