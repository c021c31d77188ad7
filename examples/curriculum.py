"""A curriculum: a network learns from the clearest images first, and from all of them in the end.

The digits are put in order by how close each is to the mean of its class, compared with the other classes:
the clearest first. The datamodule gives out as large a part of them as its setting ``part`` says, and each
lesson of the machine changes that setting. What to look at: the path that is printed, the sizes of the data
in the state, and the figure ``curriculum.png``: the steps in the curves are where a lesson begins.

The network is that of ``quickstart.py``.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from quickstart import DigitClassifier, digit_loaders
from torch.utils.data import DataLoader, TensorDataset

from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau, reached
from burr_lightning.machines import Lesson, curriculum

MACHINE = curriculum(
    [
        Lesson("clear", reached("val_acc", 0.85) | plateau("val_loss", patience=2), {"part": 0.3}),
        Lesson("most", reached("val_acc", 0.92) | plateau("val_loss", patience=2), {"part": 0.7}),
        Lesson("all", plateau("val_loss", patience=3), {"part": 1.0}),
    ]
)


class FromClearToUnclear(LightningDataModule):
    """The quickstart's digits, the clearest first.

    Args:
        part: How much of the training data is given out, from 0 to 1.
    """

    def __init__(self, part: float = 1.0) -> None:
        super().__init__()
        self.part = part

    def setup(self, stage: str) -> None:
        """Put the training data in order."""
        train, self.val = digit_loaders()
        images, labels = train.dataset[:]
        means = torch.stack([images[labels == digit].mean(0).flatten() for digit in range(10)])
        distances = torch.cdist(images.flatten(1), means)
        own = distances.gather(1, labels[:, None]).squeeze(1)
        others = distances.scatter(1, labels[:, None], torch.inf).amin(1)
        order = (own / others).argsort()
        self.images, self.labels = images[order], labels[order]

    def train_dataloader(self) -> DataLoader[Any]:
        """The clearest part."""
        size = round(self.part * len(self.labels))
        return DataLoader(TensorDataset(self.images[:size], self.labels[:size]), batch_size=32, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """All of the validation data, in every lesson."""
        return self.val


def main() -> None:
    """Train, say what happened, and draw it."""
    seed_everything(0)
    burr = BurrCallback("curriculum", "digits", monitor="val_loss", machine=MACHINE)
    trainer = Trainer(
        max_epochs=40,
        callbacks=[burr],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(DigitClassifier(), datamodule=FromClearToUnclear())
    run = burr.run
    assert run.state is not None
    print(f"\nPath:     {run.path}")
    print(f"Stopped:  {run.stop_reason}")
    print(f"Settings: {run.state['data_settings']['settings']}")
    print(f"Data:     {run.state['data']['train']}")
    print(f"Accuracy: {max(run.history['val_acc']):.2%} at best")
    run.plot("curriculum.png")
    print("Figure:   curriculum.png")


if __name__ == "__main__":
    main()
