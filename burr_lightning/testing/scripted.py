"""A module that logs what it is told, and data for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch.utils.data import DataLoader, TensorDataset


class ScriptedModule(LightningModule):
    """A tiny module that logs given values, one per validation pass.

    It really trains: it has one weight, a loss and an optimizer. Where no validation data is given
    to ``fit``, it logs one value of each metric at every epoch's end. How far it is in its script is
    kept in checkpoints. When a script is over, its last value is logged again.

    Args:
        script: For each metric, the values to log, at least one.

    Raises:
        ValueError: If a script is empty.

    Example:
        >>> from lightning.pytorch import Trainer
        >>> module = ScriptedModule(val_loss=[0.9, 0.5, 0.7])
        >>> quiet = dict(logger=False, enable_progress_bar=False, enable_model_summary=False)
        >>> trainer = Trainer(max_epochs=3, enable_checkpointing=False, accelerator="cpu", **quiet)
        >>> trainer.fit(module, scripted_loader(), scripted_loader())
        >>> round(trainer.callback_metrics["val_loss"].item(), 3)
        0.7
    """

    def __init__(self, **script: Sequence[float]) -> None:
        super().__init__()
        empty = [name for name, values in script.items() if len(values) == 0]
        if empty:
            raise ValueError(f"ScriptedModule({empty[0]}=[]): a script needs at least one value.")
        self.script = script
        self.layer = torch.nn.Linear(2, 1)
        self.line: torch.Tensor
        self.register_buffer("line", torch.tensor(0))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """One real step of gradient descent."""
        loss: torch.Tensor = self.layer(batch[0]).pow(2).mean()
        return loss

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Validation is scripted."""

    def on_validation_epoch_end(self) -> None:
        """Log the next line of the script."""
        if not self.trainer.sanity_checking:
            self._log_line()

    def on_train_epoch_end(self) -> None:
        """Without validation, log the next line of the script here."""
        if not self.trainer.enable_validation:
            self._log_line()

    def _log_line(self) -> None:
        line = int(self.line)
        for name, values in self.script.items():
            self.log(name, torch.tensor(float(values[min(line, len(values) - 1)]), dtype=torch.float64))
        self.line += 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=0.01)


def scripted_loader(batches: int = 4, batch_size: int = 2) -> DataLoader[Any]:
    """A small loader of fixed data for `ScriptedModule`.

    Args:
        batches: How many batches it gives, 1 or more.
        batch_size: Samples in each, 1 or more.

    Example:
        >>> len(scripted_loader(batches=3)), next(iter(scripted_loader(batch_size=5)))[0].shape
        (3, torch.Size([5, 2]))
    """
    samples = torch.linspace(-1, 1, batches * batch_size * 2).reshape(-1, 2)
    return DataLoader(TensorDataset(samples), batch_size=batch_size)
