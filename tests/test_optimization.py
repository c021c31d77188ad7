"""Ways to optimize: several optimizers by hand, accumulated gradients, values logged in training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from looks import walked

from burr_lightning import BurrCallback
from burr_lightning.testing import scripted_loader


class OneOptimizer(LightningModule):
    """Logs its loss for every batch and for the epoch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Linear(2, 1)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.layer(batch[0]).pow(2).mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class TwoOptimizers(OneOptimizer):
    """Optimizes by hand, its weight with one optimizer and its bias with another."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        for optimizer in self.optimizers():
            loss = super().training_step(batch, batch_idx)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def configure_optimizers(self) -> Any:
        weight, bias = [self.layer.weight], [self.layer.bias]
        return torch.optim.SGD(weight, lr=0.1, momentum=0.9), torch.optim.Adam(bias, lr=0.1)


WAYS = pytest.mark.parametrize(
    ("module_class", "options", "steps_per_epoch"),
    [
        pytest.param(OneOptimizer, {}, 5, id="one optimizer"),
        pytest.param(OneOptimizer, {"accumulate_grad_batches": 2}, 3, id="accumulated gradients"),
        pytest.param(TwoOptimizers, {}, 10, id="two optimizers by hand"),
    ],
)


@WAYS
def test_every_way_to_optimize_walks_the_same_machine(
    make_trainer: Any, module_class: Any, options: dict[str, int], steps_per_epoch: int
) -> None:
    burr = BurrCallback(run_id="optimized", monitor="val_loss")
    trainer = make_trainer(burr, max_epochs=3, **options)
    trainer.fit(module_class(), scripted_loader(5), scripted_loader(2))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 3, "best_model"]
    assert (burr.state["epoch"], burr.state["global_step"]) == (2, 3 * steps_per_epoch)
    assert burr.state["global_step"] == trainer.global_step
    assert sorted(burr.history.names) == ["loss", "loss_epoch", "loss_step", "val_loss"]
    assert [burr.history.progress(name, "min").checks for name in burr.history.names] == [3, 3, 3, 3]
    assert burr.state["best"]["value"] == min(burr.history["val_loss"])
    assert burr.state["metrics"]["val_loss"] == burr.history["val_loss"][2]
    assert burr.state["stop_reason"] == "max_epochs=3 was reached"
    assert burr.run.status == "finished"


@WAYS
def test_every_way_to_optimize_resumes_exactly(
    make_trainer: Any, module_class: Any, options: dict[str, int], steps_per_epoch: int
) -> None:
    def fit(run_id: str, max_epochs: int) -> tuple[BurrCallback, OneOptimizer]:
        burr, module = BurrCallback(run_id=run_id, monitor="val_loss"), module_class()
        trainer = make_trainer(burr, max_epochs=max_epochs, **options)
        trainer.fit(module, scripted_loader(5), scripted_loader(2))
        return burr, module

    whole, trained_at_once = fit("whole", 3)
    fit("parts", 1)
    parts, resumed = fit("parts", 3)

    assert torch.equal(resumed.layer.weight, trained_at_once.layer.weight)
    assert torch.equal(resumed.layer.bias, trained_at_once.layer.bias)
    assert parts.history == whole.history
    assert parts.state["global_step"] == whole.state["global_step"] == 3 * steps_per_epoch
    assert parts.run.status == "finished"


def test_values_logged_in_training_count_once_per_epoch_also_with_validations_inside_it(
    make_trainer: Any,
) -> None:
    burr = BurrCallback(run_id="inside", monitor="loss_epoch")
    trainer = make_trainer(burr, max_epochs=2, val_check_interval=0.5)
    trainer.fit(OneOptimizer(), scripted_loader(4), scripted_loader(2))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 4, "best_model"]
    assert burr.history.progress("val_loss", "min").checks == 4
    assert burr.history.progress("loss_epoch", "min").checks == 2
    assert burr.history.progress("loss_step", "min").checks == 2
    assert burr.state["best"]["epoch"] == 1
    assert burr.run.status == "finished"
