"""A small convolutional network learns handwritten digits, and every epoch is a Burr action.

What to look at: the path of the machine that is printed at the end, why it stopped, and the figure
``quickstart.png``. Run it again: a finished run is not trained twice. Kill it half way (Ctrl-C) and
run it again: it goes on after the last finished epoch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics.classification import MulticlassAccuracy

from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau, reached


class DigitClassifier(LightningModule):
    """Two convolutions and two linear layers on images of 8 x 8 pixels."""

    def __init__(self, learning_rate: float = 2e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.learning_rate = learning_rate
        self.network = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.25),
            nn.Linear(32 * 4 * 4, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )
        self.loss = nn.CrossEntropyLoss()
        self.val_acc = MulticlassAccuracy(num_classes=10, average="micro")

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """The loss of one batch."""
        images, labels = batch
        loss: torch.Tensor = self.loss(self.network(images), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Loss and accuracy on data that the network does not learn from."""
        images, labels = batch
        scores = self.network(images)
        self.val_acc(scores, labels)
        self.log("val_loss", self.loss(scores, labels))
        self.log("val_acc", self.val_acc)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def digit_loaders() -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Scikit-learn's 1,797 digits: four fifths to learn from, one fifth to validate on."""
    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    y = torch.tensor(labels)
    train, val = train_test_split(range(len(y)), test_size=0.2, random_state=0, stratify=labels)
    return (
        DataLoader(TensorDataset(x[train], y[train]), batch_size=32, shuffle=True),
        DataLoader(TensorDataset(x[val], y[val]), batch_size=256),
    )


def main() -> None:
    """Train, say what happened, and draw it."""
    seed_everything(0)
    train, val = digit_loaders()
    burr = BurrCallback(
        run_id="quickstart",
        project="digits",
        monitor="val_loss",
        stop_when=plateau("val_loss", patience=5) | reached("val_acc", 0.99),
    )
    trainer = Trainer(
        max_epochs=50,
        callbacks=[burr],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(DigitClassifier(), train, val)

    run = burr.run
    history = run.history
    assert run.best is not None
    print(f"\nPath:       {run.path}")
    print(f"Stopped:    {run.stop_reason}")
    print(f"Best epoch: {run.best['epoch']}, val_loss {run.best['value']:.4f}")
    print(f"Accuracy:   {max(history['val_acc']):.2%} at best, {history['val_acc'][-1]:.2%} at the end")
    print(f"Checkpoint: {run.best_checkpoint}")
    run.plot("quickstart.png")
    print("Figure:     quickstart.png")
    commands = Path(sys.executable).parent
    print(f"\nNext, type: {commands / 'burr-lightning'} show quickstart")
    print(f"or, to see it in Burr's web page: {commands / 'burr'}")


if __name__ == "__main__":
    main()
