"""A training in another process that a test lets on batch by batch, and folders that cannot be written."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from at_work import Lines
from forks import Child
from lightning.pytorch import Trainer

import burr_lightning.live_tracker
from burr_lightning import BurrCallback
from burr_lightning.conditions import max_epochs as after
from burr_lightning.testing import ScriptedModule, scripted_loader

EPOCH = 4
"""Batches of training in an epoch."""


def train(ways, run_id, max_epochs, *options):
    """Train; before each batch say which one it is, and wait for a line: "fail" makes it fail there.

    Args:
        ways: The pipe that it says so in, and the one that the lines come through.
        run_id: The run.
        max_epochs: Of the trainer.
        options: NAME=VALUE of the callback.
    """
    burr_lightning.live_tracker._SECONDS = 0.0  # so that each batch is told, however fast it was
    with open(ways[0], "w", buffering=1) as told, open(ways[1]) as lines:

        class Stepped(ScriptedModule):
            def training_step(self, batch, batch_idx):
                print(f"epoch {self.trainer.current_epoch} batch {batch_idx}.", file=told)
                if lines.readline() == "fail\n":
                    raise RuntimeError("as it was told [red]to[/red]")
                return super().training_step(batch, batch_idx)

        given = {
            name: eval(value, {"after": after}) for name, _, value in (o.partition("=") for o in options)
        }
        burr = BurrCallback(run_id, **{"monitor": "val_loss", **given})
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = Trainer(max_epochs=int(max_epochs), callbacks=[burr], accelerator="cpu", **quiet)
        trainer.fit(Stepped(val_loss=[0.5, 0.25, 0.125, 0.75]), scripted_loader(EPOCH), scripted_loader())


class SteppedTraining(Lines):
    """The training as a process."""

    def __init__(self, run_id, max_epochs, *options):
        folder = Path(tempfile.mkdtemp())
        ways = [str(folder / name) for name in ("told", "lines")]
        for way in ways:
            os.mkfifo(way)
        # For reading too, so that neither end waits for the other to be opened, or sees it closed.
        told, self._lines = (os.open(way, os.O_RDWR) for way in ways)
        self._child = Child(train, ways, run_id, max_epochs, *options, log=folder / "log")
        self.pid, self._status = self._child.pid, None
        super().__init__(told)
        self._at = (0, 0)
        self._arrives()

    def _arrives(self):
        epoch, batch = self._at
        self.until(f"epoch {epoch} batch {batch}.")

    def go_to(self, epoch, batch):
        """Let it train until it waits before that batch."""
        while self._at < (epoch, batch):
            self._let_on()
            before = self._at
            self._at = (before[0], before[1] + 1) if before[1] + 1 < EPOCH else (before[0] + 1, 0)
            self._arrives()

    def go_to_end(self):
        """Let it train all that is left, and wait for its end."""
        self._let_on(b"on\n" * 1000)
        return self._ended()

    def fail(self):
        """Have it fail where it waits."""
        self._let_on(b"fail\n")
        return self._ended()

    def kill(self):
        if self._status is None:
            self._child.kill()
            self._ended()

    def _ended(self):
        if self._status is None:
            self._status = self._child.ended()
        return self._status

    def _let_on(self, words=b"on\n"):
        os.write(self._lines, words)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        os.close(self._lines)
        os.close(self._descriptor)


CAN_MOUNT = shutil.which("unshare") is not None and not subprocess.run(["unshare", "-rm", "true"]).returncode


def where_it_is_read_only(folder, command):
    """A command as it runs where a folder cannot be written, by root neither."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    return ["unshare", "-rm", "sh", "-c", mount, str(folder), *map(str, command)]
