"""A small training that a queue starts: it notes its end, and waits where it is told to.

    python scheduled.py EPOCHS ENDS [TOLD GATE]

With TOLD and GATE it says in its second epoch that it is there, and waits at the gate the first time.
"""

import os
import sys
from pathlib import Path

from lightning.pytorch import Trainer

from burr_lightning import BurrCallback
from burr_lightning.testing import ScriptedModule, scripted_loader


class Waits(ScriptedModule):
    """Waits in its second epoch, unless it went on from there."""

    def __init__(self, told=None, gate=None, **script):
        super().__init__(**script)
        self._told, self._gate = told, gate

    def training_step(self, batch, batch_idx):
        if self._gate is not None and self.trainer.current_epoch == 1 and batch_idx == 0:
            self._wait_once(self.trainer.callbacks[-1].run.run_id)
        return super().training_step(batch, batch_idx)

    def _wait_once(self, run_id):
        waited = Path(f"{self._gate}.{run_id}")
        if not waited.exists():
            waited.touch()
            Path(self._told).write_text(f"{os.getpid()} {run_id}\n")
            with open(self._gate, "rb", buffering=0) as file:
                file.read(1)


def main(epochs, ends, *waits):
    burr = BurrCallback(monitor="val_loss")
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=int(epochs), callbacks=[burr], accelerator="cpu", **quiet)
    trainer.fit(Waits(*waits, val_loss=[0.5, 0.4, 0.3]), scripted_loader(), scripted_loader())
    if trainer.global_step:
        with open(ends, "a") as file:
            file.write(f"{burr.run.run_id}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
