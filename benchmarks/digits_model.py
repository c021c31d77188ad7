"""A small network on scikit-learn's digits, for what trains."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

BARE: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


class Digits(LightningModule):
    """A perceptron that logs ``train_loss``, ``val_loss`` and ``val_acc``.

    Args:
        hidden: Units of a hidden layer; 4,050 with ``depth=2`` make 67 MB of weights, and 201 MB with Adam.
        depth: Hidden layers.
    """

    def __init__(self, hidden: int = 32, depth: int = 1) -> None:
        super().__init__()
        sizes = [64, *[hidden] * depth]
        layers = [
            layer
            for before, after in itertools.pairwise(sizes)
            for layer in (nn.Linear(before, after), nn.ReLU())
        ]
        self.net = nn.Sequential(*layers, nn.Linear(hidden, 10))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """A batch to learn from."""
        loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """A batch to measure."""
        scores = self.net(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(scores, batch[1]))
        self.log("val_acc", (scores.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, whose state is twice the weights."""
        return torch.optim.Adam(self.parameters(), lr=1e-4)


def loaders(batch_size: int = 64) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Data to learn from, and data to measure."""
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels))
    parts = [torch.utils.data.Subset(data, part) for part in (range(1437), range(1437, 1797))]
    return DataLoader(parts[0], batch_size, shuffle=True), DataLoader(parts[1], batch_size)


def trainer(**options: Any) -> Trainer:
    """A trainer that does nothing but train."""
    return Trainer(**{**BARE, **options})
