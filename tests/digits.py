"""Real training on scikit-learn's digits, small and with everything random in it: for the tests."""

import hashlib

import torch
from lightning.pytorch import LightningModule
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset


class DigitNet(LightningModule):
    """Dropout, shuffled data, Adam and a schedule: whatever a resume can get wrong."""

    def __init__(self, learning_rate=2e-3):
        super().__init__()
        self.save_hyperparameters()
        self.network = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(32, 10)
        )

    def training_step(self, batch, batch_idx):
        loss = torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        scores = self.network(batch[0])
        self.log("val_loss", torch.nn.functional.cross_entropy(scores, batch[1]))
        self.log("val_acc", (scores.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.learning_rate)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]


def digit_loaders(samples=512):
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    return (
        DataLoader(TensorDataset(x[:samples], y[:samples]), batch_size=64, shuffle=True),
        DataLoader(TensorDataset(x[-256:], y[-256:]), batch_size=128),
    )


def weights_hash(module):
    values = b"".join(value.numpy().tobytes() for value in module.state_dict().values())
    return hashlib.sha256(values).hexdigest()
