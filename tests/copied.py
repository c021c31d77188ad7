"""Runs whose checkpoints are copied to a URL: what trains them, here and in processes that are killed."""

import os
import signal
import sys
from itertools import count
from pathlib import Path

import torch
from digits import DigitNet, digit_loaders, weights_hash
from forks import tell
from lightning.pytorch import Callback, Trainer, seed_everything

from burr_lightning import BurrCallback, Checkpoints
from burr_lightning.rows import StateRows

EPOCHS = 4
QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


class Told(DigitNet):
    """Logs the validation losses that it is told, one for each epoch."""

    losses = ()

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.losses[self.current_epoch])


def fit(
    root, shared, copy_to, *callbacks, every_n_steps=None, options=None, machine=None, losses=None, **keep
):
    """Train the run "a" from wherever it is to its end.

    Args:
        root: The machine: the folder of its runs.
        shared: The folder of the database, or its URL, which all machines reach.
        copy_to: The URL; ``None`` for no copy.
        callbacks: Beside ours.
        every_n_steps: Commits inside the epochs as well, with a loader that can.
        options: Of the storage.
        machine: A Burr graph; ``None`` is the default one.
        losses: What the validations log; ``None`` for what they find.
        keep: Of `Checkpoints`.
    """
    seed_everything(7, verbose=False)
    keeps = Checkpoints(copy_to=copy_to, storage_options=options, every_n_steps=every_n_steps, **keep)
    database = shared if isinstance(shared, str) else f"sqlite:///{shared}/rows.db"
    burr = BurrCallback(
        run_id="a", monitor="val_loss", root_dir=root, persister=database,
        checkpoints=keeps, tracker=False, machine=machine,
    )  # fmt: skip
    trainer = Trainer(max_epochs=EPOCHS, callbacks=[burr, *callbacks], accelerator="cpu", **QUIET)
    training, validation = digit_loaders(256)
    if every_n_steps is not None:
        from torchdata.stateful_dataloader import StatefulDataLoader

        training = StatefulDataLoader(training.dataset, batch_size=training.batch_size, shuffle=True)
    module = DigitNet() if losses is None else Told()
    module.losses = losses
    trainer.fit(module, training, validation)
    return burr, weights_hash(module)


class Fails(Callback):
    """Fails in the middle of an epoch, as a machine does that is taken away."""

    def __init__(self, epoch=2):
        self._epoch = epoch

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.current_epoch == self._epoch and batch_idx == 2:
            raise ConnectionAbortedError("the machine is wanted elsewhere")


_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}


class Dies(Callback):
    """Dies at its n-th touch of a file, or at a named point, between the end of epoch 1 and the next one.

    With asynchronous commits, that of epoch 1 may come later.
    """

    def __init__(self, folders, dies_at, asynchronous):
        self._folders, self._dies_at = tuple(map(str, folders)), dies_at
        self._later = asynchronous
        self._points = count(1)
        self.names = []
        self._counts = False
        sys.addaudithook(self._hook)
        save = StateRows.save

        def saves(rows, *args):
            self._reached("row")
            save(rows, *args)
            self._reached("after the row")

        StateRows.save = saves

    def on_validation_end(self, trainer, module):
        if not trainer.sanity_checking:
            self._counts = trainer.current_epoch == 1 or (self._later and trainer.current_epoch > 1)

    def _hook(self, event, arguments):
        if event in _EVENTS and str(arguments[0]).startswith(self._folders):
            kind = "there" if str(arguments[0]).startswith(self._folders[1]) else "here"
            self._reached(f"{event} {kind}")

    def _reached(self, name):
        if not self._counts:
            return
        self.names.append(name)
        if self._dies_at in (name, next(self._points)):
            os.kill(os.getpid(), signal.SIGKILL)


def train(root, shared, asynchronous, dies_at=None):
    """In a process of its own: train the run, and die at a point, or tell how it ended and by what points."""
    torch.set_num_threads(1)
    copy_to = Path(shared) / "copy"
    dies = Dies([root, copy_to], dies_at, asynchronous)
    burr, weights = fit(root, shared, f"file://{copy_to}", dies, asynchronous=asynchronous)
    tell("ended", weights, list(burr.history["val_loss"]), burr.run.verify().sound, dies.names)
