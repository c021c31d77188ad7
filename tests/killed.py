"""What a process of the kill campaign does: it trains its run, and tells where it is."""

import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import torch
from burr.core.persistence import SQLitePersister
from digits import DigitNet, digit_loaders
from forks import tell as send
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from looks import ending, hash_of

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.commits.files import sha256
from burr_lightning.errors import RunNotFoundError

_EPOCHS = 4
_SAMPLES = 256
_ROWS = {"process_data": ("setup", "setup"), "best_model": ("best_model", "end")}
"""Rows that are no epoch's: the phase that they are in, and the one that follows."""


@dataclass(frozen=True)
class Plan:
    """What is trained, and how it is saved."""

    run_id: str
    schedule: str
    saving: str
    every_n_steps: int | None = None
    temporary: str | None = None
    """The system's temporary folder, ``None`` for one beside the run."""


class WideNet(DigitNet):
    """Some megabytes with Adam's, so that a good share of the kills lands inside a commit."""

    def __init__(self, schedule):
        super().__init__()
        self.schedule = schedule
        layers = [torch.nn.Linear(64, 1024), torch.nn.ReLU(), torch.nn.Dropout(0.3)]
        layers += [torch.nn.Linear(1024, 256), torch.nn.ReLU(), torch.nn.Dropout(0.3)]
        self.network = torch.nn.Sequential(*layers, torch.nn.Linear(256, 10))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)
        if self.schedule == "StepLR":
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]
        # It never sees an improvement, so that it lowers the rate, and a step left out shows.
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, threshold=1.0, patience=0)
        return [optimizer], [{"scheduler": scheduler, "monitor": "val_loss"}]


class Tells(Callback):
    """The phases of a run, as they begin."""

    def __init__(self, *, waits):
        self._waits = waits

    def on_train_start(self, trainer, pl_module):
        tell("resumed", trainer.global_step)

    def on_train_epoch_start(self, trainer, pl_module):
        if self._waits:
            tell("committed", trainer.global_step)
        tell("phase", "training")

    def on_validation_start(self, trainer, pl_module):
        tell("phase", "validation")

    def on_train_epoch_end(self, trainer, pl_module):
        tell("trained", trainer.current_epoch, trainer.callback_metrics["val_loss"].item())

    def on_save_checkpoint(self, trainer, pl_module, checkpoint):
        tell("phase", "checkpoint")

    def on_train_end(self, trainer, pl_module):
        tell("phase", "end")


_FILES = {"open", "os.rename", "os.remove"}
_points = count(1)
_last_point = None


def tell(*message):
    send(*message)
    _reached_a_point()


def _reached_a_point():
    """Something that others can see was done or is about to be done: die here, if it is the place to."""
    if next(_points) == _last_point:
        os.kill(os.getpid(), signal.SIGKILL)


def _count_what_happens_to(home):
    """Files that are opened, renamed and removed under a folder are points to die at."""

    def hook(event, arguments):
        if event in _FILES and str(arguments[0]).startswith(str(home)):
            _reached_a_point()

    sys.addaudithook(hook)


def train(plan, home, dies_at=None):
    """Train a run of which everything lies in a folder, from wherever it is to its end.

    Args:
        plan: The run.
        home: The folder.
        dies_at: The point at which the process kills itself; ``None`` for none.
    """
    global _last_point
    _last_point, home = dies_at, Path(home)
    _count_what_happens_to(home)
    temporary = temporary_folder(plan, home)
    temporary.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(temporary)
    os.environ.update(HOME=str(home / "home"), BURR_LIGHTNING_HOME=str(home / "runs"), TMPDIR=str(temporary))
    os.chdir(home)
    tell("phase", "setup")
    plain = plan.saving == "ModelCheckpoint"
    seed_everything(1)
    callbacks = [Tells(waits=plan.saving != "asynchronous"), *(_plain() if plain else _ours(plan))]
    trainer = Trainer(
        max_epochs=_EPOCHS,
        callbacks=callbacks,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    training, validation = digit_loaders(_SAMPLES)
    if plan.every_n_steps is not None:
        training = _stateful(training)
    trainer.fit(WideNet(plan.schedule), training, validation, ckpt_path="last" if plain else None)
    send("points", next(_points))
    send("ending", _plain_ending() if plain else ending(Run.open(plan.run_id)))


def temporary_folder(plan, home):
    return Path(plan.temporary) / plan.run_id if plan.temporary else home / "temporary"


def _stateful(loader):
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(loader.dataset, batch_size=loader.batch_size, shuffle=True)


def _ours(plan):
    _check_last_commit(plan.run_id)
    _tell_rows()
    options = {"keep_last": 1}  # nothing to fall back to: what was deleted too early is missed
    if plan.saving == "asynchronous":
        options["asynchronous"] = True
    if plan.every_n_steps is not None:
        options["every_n_steps"] = plan.every_n_steps
    return [BurrCallback(run_id=plan.run_id, monitor="val_loss", checkpoints=Checkpoints(**options))]


def _check_last_commit(run_id):
    try:
        run = Run.open(run_id)
    except RunNotFoundError:
        return
    named = run.state["checkpoint"] if run.state else None
    if named is None:
        return
    path = run.folder / named["path"]
    try:
        assert sha256(path) == named["sha256"], "its digest is wrong"
        torch.load(path, weights_only=True)
    except Exception as error:
        tell("unloadable", f"{named['path']}: {error!r}")


def _tell_rows():
    save = SQLitePersister.save

    def telling_save(self, partition_key, app_id, sequence_id, position, state, *args, **kwargs):
        now, then = _ROWS.get(position, ("row", "prune"))
        tell("phase", now)
        save(self, partition_key, app_id, sequence_id, position, state, *args, **kwargs)
        tell("committed", state["global_step"])
        tell("phase", then)

    SQLitePersister.save = telling_save


def _plain():
    last = Path("checkpoints/last.ckpt")
    try:
        if last.exists():
            torch.load(last, weights_only=False)
    except Exception as error:
        tell("unloadable", f"{last}: {error!r}")
        last.unlink()
    return [ModelCheckpoint("checkpoints", save_last=True)]


def _plain_ending():
    return hash_of(torch.load("checkpoints/last.ckpt", weights_only=False))
