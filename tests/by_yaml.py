"""A module with both mixins, its stages and its metrics, as a script that takes a YAML file."""

import torch
from digits import digit_loaders
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningCLI
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from burr_lightning.conditions import max_epochs
from burr_lightning.mixins import BurrMixin, MetricsMixin, stage


class OfYaml(BurrMixin, MetricsMixin, LightningModule):
    run_id = "of-yaml"
    monitor = "val_acc"

    def __init__(self, width: int = 8, learning_rate: float = 2e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.backbone = torch.nn.Sequential(torch.nn.Linear(64, width), torch.nn.ReLU())
        self.head = torch.nn.Linear(width, 10)

    @stage(until=max_epochs(1))
    def only_head(self) -> None:
        self.freeze("backbone")

    @stage(until=max_epochs(1))
    def everything(self) -> None:
        self.unfreeze("backbone")

    def configure_metrics(self):
        return MetricCollection({"acc": MulticlassAccuracy(10), "confusion": MulticlassConfusionMatrix(10)})

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self.head(self.backbone(batch[0])), batch[1])

    def validation_step(self, batch, batch_idx):
        return {"preds": self.head(self.backbone(batch[0])), "target": batch[1]}

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)

    def train_dataloader(self):
        return digit_loaders(128)[0]

    def val_dataloader(self):
        return digit_loaders()[1]


if __name__ == "__main__":
    LightningCLI(OfYaml, save_config_callback=None, seed_everything_default=1)
