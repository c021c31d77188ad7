"""A training in another process that a test lets on batch by batch, and folders that cannot be written.

    python stepped.py RUN_ID MAX_EPOCHS [NAME=VALUE of BurrCallback...]

Before each batch of training it says which one it is, and waits for a line; "fail" makes it fail there.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from at_work import DEADLINE, Lines

EPOCH = 4
"""Batches of training in an epoch."""


def main(run_id, max_epochs, *options):
    from lightning.pytorch import Trainer

    import burr_lightning.live_tracker
    from burr_lightning import BurrCallback
    from burr_lightning.conditions import max_epochs as after
    from burr_lightning.testing import ScriptedModule, scripted_loader

    burr_lightning.live_tracker._SECONDS = 0.0  # so that each batch is told, however fast it was

    class Stepped(ScriptedModule):
        def training_step(self, batch, batch_idx):
            print(f"epoch {self.trainer.current_epoch} batch {batch_idx}.", flush=True)
            if sys.stdin.readline() == "fail\n":
                raise RuntimeError("as it was told [red]to[/red]")
            return super().training_step(batch, batch_idx)

    given = {name: eval(value, {"after": after}) for name, _, value in (o.partition("=") for o in options)}
    burr = BurrCallback(run_id, **{"monitor": "val_loss", **given})
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=int(max_epochs), callbacks=[burr], accelerator="cpu", **quiet)
    trainer.fit(Stepped(val_loss=[0.5, 0.25, 0.125, 0.75]), scripted_loader(EPOCH), scripted_loader())


class SteppedTraining(Lines):
    """The training as a process."""

    def __init__(self, run_id, max_epochs, *options):
        command = [sys.executable, __file__, run_id, str(max_epochs), *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, **pipes)
        super().__init__(self.process.stdout.fileno())
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
        self.process.stdin.write(b"on\n" * 1000)
        self.process.stdin.close()
        return self.process.wait(DEADLINE)

    def fail(self):
        """Have it fail where it waits."""
        self._let_on(b"fail\n")
        return self.process.wait(DEADLINE)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)

    def _let_on(self, word=b"on\n"):
        self.process.stdin.write(word)
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


CAN_MOUNT = shutil.which("unshare") is not None and not subprocess.run(["unshare", "-rm", "true"]).returncode


def where_it_is_read_only(folder, command):
    """A command as it runs where a folder cannot be written, by root neither."""
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    return ["unshare", "-rm", "sh", "-c", mount, str(folder), *map(str, command)]


if __name__ == "__main__":
    sys.path.insert(0, os.fspath(Path(__file__).parent))
    main(*sys.argv[1:])
