"""Which validation loops a trainer may have, and what each makes of the machine's path."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from burr.lifecycle import PostRunStepHook
from lightning.pytorch import LightningModule
from looks import NAN, walked

from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau, reached
from burr_lightning.testing import ScriptedModule, scripted_loader


def epochs_of(burr: BurrCallback) -> list[int | None]:
    return [step.epoch for step in burr.run.path]


def test_without_validation_the_machine_trains_epoch_after_epoch(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="plain", monitor="loss")
    make_trainer(burr, max_epochs=3).fit(ScriptedModule(loss=[0.9, 0.5, 0.7]), scripted_loader())

    assert walked(burr) == ["process_data", *["train_epoch"] * 3, "best_model"]
    assert epochs_of(burr) == [None, 0, 1, 2, None]
    assert list(burr.history["loss"]) == [0.9, 0.5, 0.7]
    assert burr.history.progress("loss", "min").checks == 3
    assert (burr.state["epoch"], burr.state["global_step"]) == (2, 12)
    assert burr.state["metrics"] == {"loss": 0.7}
    assert (burr.state["best"]["epoch"], burr.state["best"]["value"]) == (1, 0.5)
    assert burr.state["checkpoint"]["epoch"] == 2
    assert (burr.state["finished"], burr.state["stop_reason"]) == (True, "max_epochs=3 was reached")
    assert burr.run.status == "finished"


def test_validation_follows_every_epoch_of_training(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="validated", monitor="val_loss", stop_when=reached("val_loss", 0.4))
    module = ScriptedModule(val_loss=[0.9, 0.5, 0.3])
    make_trainer(burr, max_epochs=9).fit(module, scripted_loader(), scripted_loader(2))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 3, "best_model"]
    assert epochs_of(burr) == [None, 0, 0, 1, 1, 2, 2, None]
    assert list(burr.history["val_loss"]) == [0.9, 0.5, 0.3]
    assert burr.history.progress("val_loss", "min").checks == 3
    assert burr.state["stop_reason"].startswith("reached(val_loss, 0.4)")
    assert burr.state["best"]["checkpoint"] == burr.state["checkpoint"]["path"]
    assert burr.run.status == "finished"


class TwoValidationSets(ScriptedModule):
    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.log("val_loss", 1.0 / (1 + self.current_epoch) + 10 * dataloader_idx)


def test_several_validation_loaders_are_one_validation(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="several", monitor="val_loss/dataloader_idx_1")
    loaders = [scripted_loader(2), scripted_loader(3)]
    make_trainer(burr, max_epochs=2).fit(TwoValidationSets(), scripted_loader(), loaders)

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 2, "best_model"]
    assert list(burr.history["val_loss/dataloader_idx_0"]) == pytest.approx([1.0, 0.5])
    assert list(burr.history["val_loss/dataloader_idx_1"]) == pytest.approx([11.0, 10.5])
    assert burr.history.progress("val_loss/dataloader_idx_1", "min").checks == 2
    assert burr.state["best"]["epoch"] == 1
    assert burr.run.status == "finished"


def test_the_scripted_module_takes_several_validation_loaders(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="several", monitor="val_loss")
    loaders = [scripted_loader(2), scripted_loader(3)]
    make_trainer(burr, max_epochs=2).fit(ScriptedModule(val_loss=[0.9, 0.5]), scripted_loader(), loaders)

    assert list(burr.history["val_loss"]) == [0.9, 0.5]
    assert burr.run.status == "finished"


def test_validation_every_third_epoch_is_a_check_every_third_epoch(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="third", monitor="val_loss", stop_when=plateau("val_loss", patience=1))
    module = ScriptedModule(val_loss=[0.5, 0.7])
    make_trainer(burr, max_epochs=12, check_val_every_n_epoch=3).fit(
        module, scripted_loader(2), scripted_loader(2)
    )

    third = ["train_epoch", "train_epoch", "train_epoch", "validate"]
    assert walked(burr) == ["process_data", *third, *third, "best_model"]
    assert epochs_of(burr) == [None, 0, 1, 2, 2, 3, 4, 5, 5, None]
    assert list(burr.history["val_loss"]) == [NAN, NAN, 0.5, NAN, NAN, 0.7]
    assert burr.history.progress("val_loss", "min").checks == 2
    assert (burr.state["epoch"], burr.state["best"]["epoch"]) == (5, 2)
    assert burr.state["stop_reason"].startswith("plateau(val_loss, patience=1)")
    assert burr.run.best_checkpoint is not None
    assert burr.run.status == "finished"


class Batches(PostRunStepHook):
    """Which batches every phase saw, from its result."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int, int]] = []

    def post_run_step(self, *, action: Any, result: Any, **future: Any) -> None:
        if action.name in ("train_epoch", "validate"):
            self.seen.append((action.name, result["epoch"], result["first_batch"], result["last_batch"]))


def test_validations_inside_an_epoch_divide_its_training(make_trainer: Any) -> None:
    batches = Batches()
    burr = BurrCallback(run_id="quarters", monitor="val_loss", hooks=[batches])
    module = ScriptedModule(val_loss=[0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    make_trainer(burr, max_epochs=2, val_check_interval=0.25).fit(
        module, scripted_loader(8), scripted_loader(3)
    )

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 8, "best_model"]
    assert epochs_of(burr) == [None, *[0] * 8, *[1] * 8, None]
    trained = [(first, last) for name, _, first, last in batches.seen if name == "train_epoch"]
    assert trained == [(0, 1), (2, 3), (4, 5), (6, 7)] * 2
    assert {seen[2:] for seen in batches.seen if seen[0] == "validate"} == {(0, 2)}
    assert list(burr.history["val_loss"]) == [0.5, 0.1]
    assert burr.history.progress("val_loss", "min").checks == 8
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 16)
    assert burr.run.status == "finished"


def test_a_validation_in_the_middle_of_an_epoch_can_end_the_run(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="middle", monitor="val_loss", stop_when=reached("val_loss", 0.5))
    module = ScriptedModule(val_loss=[0.9, 0.8, 0.7, 0.6, 0.6, 0.4, 0.3])
    make_trainer(burr, max_epochs=9, val_check_interval=0.25).fit(
        module, scripted_loader(8), scripted_loader(2)
    )

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 6, "best_model"]
    assert list(burr.history["val_loss"]) == [0.6, 0.4]
    assert burr.history.progress("val_loss", "min").checks == 6
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 12)
    assert burr.state["stop_reason"].startswith("reached(val_loss, 0.5)")
    assert burr.state["checkpoint"]["epoch"] == 1
    assert burr.run.status == "finished"


def test_validations_can_be_counted_in_batches_across_epochs(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="across", monitor="val_loss")
    module = ScriptedModule(val_loss=[0.9, 0.8, 0.7])
    make_trainer(burr, max_epochs=4, val_check_interval=6, check_val_every_n_epoch=None).fit(
        module, scripted_loader(4), scripted_loader(2)
    )

    middle_of_epoch_1 = ["train_epoch", "train_epoch", "validate", "train_epoch"]
    end_of_epoch_2 = ["train_epoch", "validate"]
    assert walked(burr) == ["process_data", *middle_of_epoch_1, *end_of_epoch_2, "train_epoch", "best_model"]
    assert epochs_of(burr) == [None, 0, 1, 1, 1, 2, 2, 3, None]
    assert list(burr.history["val_loss"]) == [NAN, 0.9, 0.8, NAN]
    assert burr.history.progress("val_loss", "min").checks == 2
    assert burr.run.status == "finished"


class LogsInEveryValidation(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.validations = 0

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.layer(batch[0]).pow(2).mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", 1.0 if self.trainer.sanity_checking else 2.0)

    def on_validation_end(self) -> None:
        self.validations += 1

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


@pytest.mark.parametrize("sanity_steps", [-1, 0, 2])
def test_the_sanity_check_never_becomes_a_step(make_trainer: Any, sanity_steps: int) -> None:
    burr = BurrCallback(run_id="sane", monitor="val_loss")
    module = LogsInEveryValidation()
    make_trainer(burr, max_epochs=2, num_sanity_val_steps=sanity_steps).fit(
        module, scripted_loader(2), scripted_loader(3)
    )

    assert module.validations == (2 if sanity_steps == 0 else 3)
    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 2, "best_model"]
    assert list(burr.history["val_loss"]) == [2.0, 2.0]
    assert burr.history.progress("val_loss", "min").checks == 2
    assert burr.state["best"]["value"] == 2.0
    assert burr.run.status == "finished"


class LogsLate(ScriptedModule):
    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        self.log("late", torch.tensor(10.0 - self.current_epoch))


@pytest.mark.parametrize("validation", [None, scripted_loader(2)], ids=["no validation", "validation"])
def test_a_metric_logged_at_the_very_end_of_an_epoch_belongs_to_it(
    make_trainer: Any, validation: Any
) -> None:
    burr = BurrCallback(run_id="late", monitor="late", stop_when=reached("late", 8))
    make_trainer(burr, max_epochs=9).fit(LogsLate(other=[1, 2, 3]), scripted_loader(2), validation)

    epoch = ["train_epoch"] if validation is None else ["train_epoch", "validate"]
    assert walked(burr) == ["process_data", *epoch * 3, "best_model"]
    assert list(burr.history["late"]) == [10, 9, 8]
    assert list(burr.history["other"]) == [1, 2, 3]
    assert burr.history.progress("late", "min").checks == 3
    assert burr.state["best"]["epoch"] == 2
    assert burr.state["stop_reason"].startswith("reached(late, 8)")
    assert burr.run.status == "finished"
