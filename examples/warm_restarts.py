"""Warm restarts: the learning rate begins anew when a cycle has done its work, not at a fixed step.

A cosine schedule lowers the learning rate from step to step, down to nothing in six epochs. When the
validation loss has not improved for an epoch, or they are over, the machine starts the schedule anew, at four
fifths of the rate, three times. What to look at: the figure ``warm_restarts.png``. Its axis ``lr`` shows the
cycles, of different lengths, and each diamond in the row ``restart`` is one of the returns to the beginning
of the schedule.

The network and its data are those of ``quickstart.py``.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from quickstart import DigitClassifier, digit_loaders

from burr_lightning import BurrCallback
from burr_lightning.conditions import max_epochs, plateau
from burr_lightning.machines import warm_restarts

EPOCHS_OF_A_CYCLE = 6
BATCHES = 45
MACHINE = warm_restarts(
    plateau("val_loss", patience=1) | max_epochs(EPOCHS_OF_A_CYCLE), restarts=3, lr_factor=0.8
)


class Annealed(DigitClassifier):
    """The quickstart's network, with SGD under a cosine schedule; it logs its learning rate."""

    def on_train_epoch_end(self) -> None:
        """Log the learning rate that the epoch ended with."""
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """SGD; one cycle takes the rate from 0.1 down to nothing."""
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS_OF_A_CYCLE * BATCHES)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def main() -> None:
    """Train, say what happened, and draw it."""
    seed_everything(0)
    burr = BurrCallback("warm-restarts", "digits", monitor="val_loss", machine=MACHINE)
    trainer = Trainer(
        max_epochs=100,
        callbacks=[burr],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    train, val = digit_loaders()
    assert len(train) == BATCHES
    trainer.fit(Annealed(), train, val)
    run = burr.run
    assert run.best is not None
    assert run.state is not None
    print(f"\nPath:     {run.path}")
    print(f"Stopped:  {run.stop_reason}")
    print(f"Restarts: {run.state['restarts']}")
    print(f"Best:     epoch {run.best['epoch']}, val_loss {run.best['value']:.4f}")
    run.plot("warm_restarts.png")
    print("Figure:   warm_restarts.png")


if __name__ == "__main__":
    main()
