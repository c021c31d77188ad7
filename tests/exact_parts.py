"""What the scripts of the exactness matrix are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from exactness import Case, Script
from lightning.pytorch import LightningModule
from sklearn.datasets import load_digits
from torch import nn
from torch.optim import SGD, Adam
from torch.utils.data import (
    DataLoader,
    TensorDataset,
)

_IMAGES, _LABELS = load_digits(return_X_y=True)
X, Y = torch.tensor(_IMAGES, dtype=torch.float32) / 16, torch.tensor(_LABELS)


def registered_in(cases: dict[str, Case]) -> Callable[..., Any]:
    """The decorator that puts a script into a part of the matrix, under its function's name."""

    def case(**options: Any) -> Callable[[Callable[[], Script]], Callable[[], Script]]:
        def register(write: Callable[[], Script]) -> Callable[[], Script]:
            cases[write.__name__] = Case(write, **options)
            return write

        return register

    return case


def digits(start: int = 0, samples: int = 128) -> TensorDataset:
    return TensorDataset(X[start : start + samples], Y[start : start + samples])


def loader(dataset: Any = None, **options: Any) -> DataLoader:
    """Four batches of training data."""
    return DataLoader(digits() if dataset is None else dataset, batch_size=32, **options)


def data(train: Any = None, **options: Any) -> dict[str, Any]:
    """The arguments of `fit`: shuffled training data, and validation data."""
    train = loader(shuffle=True) if train is None else train
    return {"train_dataloaders": train, "val_dataloaders": DataLoader(digits(500, 32), 32, **options)}


def sgd(parameters: Any) -> SGD:
    return SGD(parameters, lr=0.1, momentum=0.9)


def adam(parameters: Any) -> Adam:
    return Adam(parameters, lr=0.01)


class Net(LightningModule):
    """Two layers and what is put between them; logs train_loss and val_loss."""

    def __init__(self, *between: nn.Module, configure: Callable[[Any], Any] = adam) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(64, 16), *between, nn.ReLU(), nn.Linear(16, 10))
        self.configure = configure

    def loss(self, batch: Any) -> torch.Tensor:
        return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        return self.configure(self.parameters())


def scheduled(kind: Callable[[Any], Any], optimizer: Callable[[Any], Any] = sgd, **config: Any):
    """A `configure_optimizers` with one scheduler."""

    def configure(parameters: Any) -> dict[str, Any]:
        made = optimizer(parameters)
        return {"optimizer": made, "lr_scheduler": {"scheduler": kind(made), **config}}

    return configure
