"""What `MetricsMixin` costs beside the same torchmetrics by hand, in an epoch of scikit-learn's digits.

Run it as ``python benchmarks/metrics_mixin.py``. A network of one layer, so that the metrics are most of the
work. By hand they are updated in the steps, and computed, logged and reset at the end of the epoch, with
the groups that torchmetrics makes by itself (metrics that seem to have the same state share it), with the
same ones named, or without any. ``--epochs`` and ``--repeats`` make it smaller.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from burr_lightning.mixins import MetricsMixin

SHARED = [["acc", "f1", "precision", "recall"], ["auroc"]]
"""The metrics that have the same state: those torchmetrics finds, too."""


def collection(groups: Any) -> MetricCollection:
    """Five metrics."""
    metrics = {
        "acc": MulticlassAccuracy(10),
        "f1": MulticlassF1Score(10),
        "precision": MulticlassPrecision(10),
        "recall": MulticlassRecall(10),
        "auroc": MulticlassAUROC(10),
    }
    return MetricCollection(metrics, compute_groups=groups)


class Plain(LightningModule):
    """One layer, and no metrics."""

    def __init__(self, groups: Any = False) -> None:
        super().__init__()
        self.groups = groups
        self.layer = torch.nn.Linear(64, 10)

    def step(self, batch: Any) -> dict[str, torch.Tensor]:
        """The loss, and what metrics are computed from."""
        scores = self.layer(batch[0])
        loss = torch.nn.functional.cross_entropy(scores, batch[1])
        return {"loss": loss, "preds": scores, "target": batch[1]}

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """A batch to learn from."""
        return self.step(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """A batch to measure."""
        return self.step(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Mixed(MetricsMixin, Plain):
    """The mixin sees to the metrics."""

    def configure_metrics(self) -> MetricCollection:
        """All of them, in every stage."""
        return collection(self.groups)


class ByHand(Plain):
    """The module does."""

    def __init__(self, groups: Any) -> None:
        super().__init__(groups)
        self.of_training = collection(groups).clone(prefix="train_")
        self.of_validation = collection(groups).clone(prefix="val_")

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """A batch to learn from."""
        stepped = self.step(batch)
        self.of_training.update(stepped["preds"].detach(), stepped["target"])
        return stepped

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """A batch to measure."""
        stepped = self.step(batch)
        self.of_validation.update(stepped["preds"], stepped["target"])
        return stepped

    def on_train_epoch_end(self) -> None:
        """Log the training."""
        self.log_dict(self.of_training.compute())
        self.of_training.reset()

    def on_validation_epoch_end(self) -> None:
        """Log the validation."""
        self.log_dict(self.of_validation.compute())
        self.of_validation.reset()


WAYS = {
    "no metrics": Plain,
    "by hand, no groups": lambda: ByHand(False),
    "by hand, groups found": lambda: ByHand(True),
    "by hand, groups named": lambda: ByHand(SHARED),
    "mixin": lambda: Mixed(True),
    "mixin, groups named": lambda: Mixed(SHARED),
}


class Clock(Callback):
    """The processor's seconds of each epoch, its validation included: others have the processor too."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._began = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch begins."""
        now = time.process_time()
        if self._began:
            self.seconds.append(now - self._began)
        self._began = now


def digits() -> tuple[DataLoader[Any], DataLoader[Any]]:
    """Data to learn from, and data to measure."""
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels))
    parts = torch.utils.data.Subset(data, range(1437)), torch.utils.data.Subset(data, range(1437, 1797))
    return DataLoader(parts[0], batch_size=32, shuffle=True), DataLoader(parts[1], batch_size=32)


def epoch_of(way: str, epochs: int) -> tuple[float, dict[str, float]]:
    """The median seconds of an epoch after the first one, and what was logged in the last one."""
    seed_everything(1, verbose=False)
    clock = Clock()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        max_epochs=epochs + 2, callbacks=[clock], accelerator="cpu", enable_model_summary=False, **quiet
    )
    trainer.fit(WAYS[way](), *digits())
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    return statistics.median(clock.seconds[1:]), logged


def measured(epochs: int, repeats: int) -> dict[str, list[float]]:
    """The seconds of an epoch in each way, once a repeat: the ways take turns, and share the noise."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way, times in seconds.items():
            times.append(epoch_of(way, epochs)[0])
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    seconds = measured(asked.epochs, asked.repeats)
    base = "by hand, no groups"
    print(f"{'':24} {'ms an epoch':>11} {'to ' + base:>24} {'(least to most)':>18}")
    for way, times in seconds.items():
        ratios = [time / other for time, other in zip(times, seconds[base], strict=True)]
        between = f"({min(ratios):.2f} to {max(ratios):.2f})"
        middle = statistics.median(times) * 1e3
        print(f"{way:24} {middle:11.0f} {statistics.median(ratios):24.2f} {between:>18}")


if __name__ == "__main__":
    main()
