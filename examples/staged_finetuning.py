"""Fine-tuning in stages: the head trains first, then the last block too, then all of the network.

A network that reads digits is to tell the even from the odd ones, from 60 images. Each stage ends by its own
condition, which counts from the beginning of the stage. What to look at: the path that is printed (its
stages took as many epochs as they needed), the numbers of frozen parameters, and the figure
``staged_finetuning.png``, which has the learning curves above the actions of the machine.

The network and its optimizer are those of ``quickstart.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from quickstart import DigitClassifier, digit_loaders
from torch.utils.data import DataLoader, TensorDataset

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import BestModel
from burr_lightning.conditions import plateau, reached
from burr_lightning.machines import Unfrozen, staged_finetuning

MACHINE = staged_finetuning(
    [
        Unfrozen("head", ["network.9"], plateau("val_loss", patience=2, min_delta=0.01), lr=2e-2),
        Unfrozen("last_block", ["network.7"], plateau("val_loss", patience=2, min_delta=0.01), lr=1e-3),
        Unfrozen("everything", ["*"], plateau("val_loss", patience=4), lr=5e-4),
    ],
    BestModel(load_weights=True),
)


def parity_loaders(most: int) -> tuple[DataLoader[Any], DataLoader[Any]]:
    """The quickstart's images, as even (0) or odd (1); to learn from, the first ``most`` of them."""
    train, validation = (loader.dataset[:] for loader in digit_loaders())
    return (
        DataLoader(TensorDataset(train[0][:most], train[1][:most] % 2), batch_size=16, shuffle=True),
        DataLoader(TensorDataset(validation[0], validation[1] % 2), batch_size=256),
    )


def fit(burr: BurrCallback, module: DigitClassifier, loaders: tuple[Any, Any], epochs: int) -> Run:
    """Train, and give the run."""
    trainer = Trainer(
        max_epochs=epochs,
        callbacks=[burr],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, *loaders)
    return burr.run


def pretrained() -> Path:
    """The checkpoint of a network that reads digits."""
    seed_everything(0)
    burr = BurrCallback("reads-digits", "digits", monitor="val_loss", stop_when=reached("val_acc", 0.97))
    checkpoint = fit(burr, DigitClassifier(), digit_loaders(), epochs=10).best_checkpoint
    assert checkpoint is not None
    return checkpoint


def finetuned(checkpoint: Path) -> Run:
    """The run that goes on from there, on a few images of the other task."""
    seed_everything(1)
    module = DigitClassifier()
    module.load_state_dict(torch.load(checkpoint)["state_dict"])
    burr = BurrCallback("even-or-odd", "digits", monitor="val_loss", machine=MACHINE)
    return fit(burr, module, parity_loaders(60), epochs=60)


def from_scratch() -> Run:
    """What the same few images teach a network that knows nothing."""
    seed_everything(1)
    burr = BurrCallback("from-scratch", "digits", monitor="val_loss", stop_when=plateau("val_loss", 4))
    return fit(burr, DigitClassifier(), parity_loaders(60), epochs=60)


def main() -> None:
    """Fine-tune, say what happened, and draw it."""
    run = finetuned(pretrained())
    scratch = from_scratch()
    assert run.state is not None
    print(f"\nPath:    {run.path}")
    print(f"Stopped: {run.stop_reason}")
    print(f"Frozen at the end: {run.state['frozen']}")
    print(f"Accuracy: {max(run.history['val_acc']):.2%} in {run.epoch + 1} epochs, fine-tuned")
    print(f"          {max(scratch.history['val_acc']):.2%} in {scratch.epoch + 1}, from scratch")
    run.plot("staged_finetuning.png")
    print("Figure:  staged_finetuning.png")


if __name__ == "__main__":
    main()
