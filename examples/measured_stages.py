"""A module that brings its own machine and its own metrics: the Trainer is given nothing.

A network that reads the digits 5 to 9 is to read 0 to 4, from 60 images of them. The stages of that are
methods of the module: its head trains first, then the layer below it too, then all of it. Its metrics are
named once, in ``configure_metrics``. What to look at: the path and the stages that are printed, the values
of the metrics beside those that torchmetrics gives for the best checkpoint, the figure
``measured_stages.png``, and the confusion matrix and the ROC of the best epoch, in the run's own folder.

The layers below the head are those of ``quickstart.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from burr.core import State
from lightning.pytorch import LightningModule, Trainer, seed_everything
from quickstart import DigitClassifier, digit_loaders
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassROC,
)

from burr_lightning import Run
from burr_lightning.conditions import plateau
from burr_lightning.mixins import BurrMixin, MetricsMixin, stage

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,  # the commits of a run are made all the same
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class NewDigits(BurrMixin, MetricsMixin, LightningModule):
    """Layers that have learned to read other digits, and a head that has learned nothing yet.

    Args:
        learning_rate: That of the first stage.
    """

    run_id = "measured-stages"
    burr_options: ClassVar = {"project": "digits"}
    monitor = "val_f1"

    def __init__(self, learning_rate: float = 1e-2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.learning_rate = learning_rate
        self.layers = DigitClassifier().network[:9]
        self.head = nn.Linear(64, 5)

    @stage(until=plateau("val_loss", patience=2, min_delta=0.01))
    def only_head(self) -> None:
        """What is there already stays as it is."""
        self.freeze("layers")

    @stage(until=plateau("val_loss", patience=2, min_delta=0.01))
    def last_layer(self) -> None:
        """The layer below the head learns too, more slowly."""
        self.unfreeze("layers.7", lr=1e-3)

    @stage(until=plateau("val_loss", patience=4))
    def everything(self) -> None:
        """All of it learns, and slowly."""
        self.unfreeze("*")
        self.set_learning_rate(5e-4)

    def configure_metrics(self) -> MetricCollection:
        """Two numbers that are logged, and two values that are drawn."""
        return MetricCollection(
            {
                "acc": MulticlassAccuracy(5, average="micro"),
                "f1": MulticlassF1Score(5),
                "confusion": MulticlassConfusionMatrix(5),
                "roc": MulticlassROC(5),
            }
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """A score for each digit."""
        scores: torch.Tensor = self.head(self.layers(images))
        return scores

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """The loss, and what the metrics are computed from."""
        scores = self(batch[0])
        loss = nn.functional.cross_entropy(scores, batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return {"loss": loss, "preds": scores, "target": batch[1]}

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, torch.Tensor]:
        """What the metrics are computed from; the loss is for the conditions."""
        scores = self(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(scores, batch[1]))
        return {"preds": scores, "target": batch[1]}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)

    def on_train_epoch_start(self) -> None:
        """Drop nothing out before all of the layers learn."""
        self.layers.train(self.burr.stage == "everything")

    def on_action_end(self, action: str, state: State[Any]) -> None:
        """Say what each stage trains."""
        if action.startswith("begin_"):
            print(f"{action}: epoch {state['epoch'] + 1}, frozen {state['frozen']}")


def loaders(first: int, most: int | None = None) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """The quickstart's images of five digits, told apart from 0 on; to learn from, ``most`` of them."""
    train, validation = (_five_from(first, loader.dataset[:]) for loader in digit_loaders())
    return (
        DataLoader(TensorDataset(*(column[:most] for column in train)), batch_size=8, shuffle=True),
        DataLoader(TensorDataset(*validation), batch_size=256),
    )


def _five_from(first: int, data: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    images, labels = data
    chosen = (labels >= first) & (labels < first + 5)
    return images[chosen], labels[chosen] - first


def pretrained() -> dict[str, torch.Tensor]:
    """The layers of a network that reads 5 to 9: an ordinary training, without any of ours."""
    seed_everything(0)
    module = DigitClassifier()
    Trainer(max_epochs=4, **QUIET).fit(module, *loaders(first=5))
    return module.network[:9].state_dict()


def trained(layers: dict[str, torch.Tensor]) -> Run:
    """The run that goes on from there, on a few images of 0 to 4."""
    seed_everything(1)
    module = NewDigits()
    module.layers.load_state_dict(layers)
    Trainer(max_epochs=60, **QUIET).fit(module, *loaders(first=0, most=60))
    return module.burr.run


def by_hand(run: Run) -> dict[str, float]:
    """What torchmetrics alone gives for the best checkpoint."""
    assert run.best_checkpoint is not None
    module = NewDigits.load_from_checkpoint(run.best_checkpoint).eval()
    images, labels = loaders(first=0)[1].dataset[:]
    metrics = {"val_acc": MulticlassAccuracy(5, average="micro"), "val_f1": MulticlassF1Score(5)}
    with torch.no_grad():
        scores = module(images)
    return {name: metric(scores, labels).item() for name, metric in metrics.items()}


def main() -> None:
    """Train, say what happened, and draw it."""
    run = trained(pretrained())
    assert run.best is not None
    epoch = run.best["epoch"]
    print(f"\nPath:       {run.path}")
    print(f"Stopped:    {run.stop_reason}")
    print(f"Best epoch: {epoch} of {run.epoch + 1}")
    for name, value in by_hand(run).items():
        print(f"{name}: {run.history[name][epoch]:.6f}, by hand {value:.6f}")
    for figure in sorted((run.folder / "figures").iterdir()):
        print(f"Figure:     {figure}")
    run.plot("measured_stages.png")
    print("Figure:     measured_stages.png")


if __name__ == "__main__":
    main()
