"""A run whose learning rate blows up recovers by itself.

From epoch 4 on, a schedule multiplies the learning rate by 100: the loss explodes. The machine sees it, goes
back to the best commit, in the same ``fit``, and trains on from there with a tenth of the rate; as that is
still too much, it does so again. What to look at: the two accuracies that are printed, of this run and of one
whose schedule is healthy, and the figure ``rollback_on_divergence.png``: a diamond in the row ``rollback``
for each return.

The network and its data are those of ``quickstart.py``.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from quickstart import DigitClassifier, digit_loaders

from burr_lightning import BurrCallback, Run
from burr_lightning.conditions import diverged, not_finite
from burr_lightning.machines import rollback_on_divergence

MACHINE = rollback_on_divergence(
    not_finite("val_loss") | diverged("val_loss", threshold=2.0), lr_factor=0.1, most=4
)


class Scheduled(DigitClassifier):
    """The quickstart's network, with plain SGD and a learning rate that changes from epoch 4 on."""

    def __init__(self, factor: float) -> None:
        super().__init__(learning_rate=0.05)
        self.factor = factor

    def configure_optimizers(self) -> Any:
        """SGD; the rate is multiplied by ``factor`` from epoch 4 on."""
        optimizer = torch.optim.SGD(self.parameters(), lr=self.learning_rate, momentum=0.9)
        factor = self.factor
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: factor if epoch >= 4 else 1.0)
        return [optimizer], [schedule]


def train(run_id: str, factor: float) -> Run:
    """Train for 12 epochs under the machine."""
    seed_everything(1)
    burr = BurrCallback(run_id, "digits", monitor="val_loss", machine=MACHINE)
    trainer = Trainer(
        max_epochs=12,
        callbacks=[burr],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Scheduled(factor), *digit_loaders())
    return burr.run


def main() -> None:
    """Train both, say what happened, and draw the one that blew up."""
    healthy, run = train("healthy", factor=1.0), train("blows-up", factor=100.0)
    assert run.state is not None
    print(f"\nPath:      {run.path}")
    print(
        f"Rollbacks: {run.state['rollback']['count']}, to epoch {run.state['rollback']['to']} the last time"
    )
    print(f"Rates:     {', '.join(f'{rate:g}' for rate in run.state['rollback']['lr'])} after it")
    print(f"Accuracy:  {max(run.history['val_acc']):.2%} of the run that blew up")
    print(f"           {max(healthy.history['val_acc']):.2%} of the healthy one")
    run.plot("rollback_on_divergence.png")
    print("Figure:    rollback_on_divergence.png")


if __name__ == "__main__":
    main()
