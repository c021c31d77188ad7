"""A run that another process is training, and that waits in the middle of an epoch until it is let on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch import Trainer

from burr_lightning import BurrCallback
from burr_lightning.testing import ScriptedModule, scripted_loader

LOSSES = [0.9, 0.25, 0.5, 0.4, 0.6]


class _Waits(ScriptedModule):
    def training_step(self, batch, batch_idx):
        if self.trainer.current_epoch == 3 and batch_idx == 1:
            print("in epoch 3", flush=True)
            sys.stdin.readline()
        return super().training_step(batch, batch_idx)


def fit(
    run_id: str, epochs: int, *, module: ScriptedModule | None = None, every: int = 1, **options
) -> BurrCallback:
    """Train a run, here and to its end; it is validated in every so manieth epoch."""
    burr = BurrCallback(run_id, **{"monitor": "val_loss", **options})
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    limits = {"max_epochs": epochs, "check_val_every_n_epoch": every}
    trainer = Trainer(callbacks=[burr], accelerator="cpu", **limits, **quiet)
    trainer.fit(module or ScriptedModule(val_loss=LOSSES), scripted_loader(), scripted_loader())
    return burr


@contextmanager
def training(run_id: str) -> Iterator[subprocess.Popen[str]]:
    """A process that trains a run of five epochs, in the middle of the fourth; it is killed in the end."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [sys.executable, str(Path(__file__)), run_id]
    with subprocess.Popen(command, text=True, **pipes) as child:
        try:
            assert any(line == "in epoch 3\n" for line in child.stdout), "it ended before epoch 3"
            yield child
        finally:
            child.kill()


def goes_on(child: subprocess.Popen[str]) -> int:
    """Let a process on, and wait for its end."""
    child.stdin.close()
    child.stdin = None
    return child.wait(600)


if __name__ == "__main__":
    fit(sys.argv[1], 5, module=_Waits(val_loss=LOSSES))
