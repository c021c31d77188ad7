"""Stops that a callback, the module or a condition asks for: the machine ends there, once and for all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import torch
from burr.lifecycle import PreRunStepHook
from lightning.pytorch.callbacks import EarlyStopping, Timer
from looks import walked

from burr_lightning import BurrCallback
from burr_lightning.conditions import reached
from burr_lightning.testing import ScriptedModule, scripted_loader

TWO_EPOCHS = ["process_data", *["train_epoch", "validate"] * 2, "best_model"]


def early_stopping() -> EarlyStopping:
    return EarlyStopping("val_loss", patience=2)


def test_early_stopping_brings_the_machine_to_its_end(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="stopped", monitor="val_loss")
    module = ScriptedModule(val_loss=[0.9, 0.5, 0.7, 0.8, 0.1])
    trainer = make_trainer(burr, early_stopping(), max_epochs=9)
    trainer.fit(module, scripted_loader(2), scripted_loader(2))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 4, "best_model"]
    assert list(burr.history["val_loss"]) == [0.9, 0.5, 0.7, 0.8]
    assert burr.history.progress("val_loss", "min").checks == 4
    assert (burr.state["epoch"], burr.state["best"]["epoch"]) == (3, 1)
    assert burr.state["finished"]
    assert burr.state["stop_reason"].startswith("EarlyStopping stopped it: Monitored metric val_loss")
    assert burr.run.status == "finished"


def test_early_stopping_in_the_middle_of_an_epoch_ends_the_machine_there(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="stopped", monitor="val_loss")
    module = ScriptedModule(val_loss=[0.9, 0.8, 0.7, 0.9, 0.8, 0.1])
    trainer = make_trainer(burr, early_stopping(), max_epochs=9, val_check_interval=0.25)
    trainer.fit(module, scripted_loader(8), scripted_loader(2))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 5, "best_model"]
    assert list(burr.history["val_loss"]) == [0.9, 0.8]
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 10)
    assert burr.state["stop_reason"].startswith("EarlyStopping stopped it: Monitored metric val_loss")
    assert burr.run.status == "finished"


def test_min_epochs_outlasts_early_stopping(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="stopped", monitor="val_loss")
    module = ScriptedModule(val_loss=[0.5, 0.6, 0.7, 0.8, 0.9])
    trainer = make_trainer(burr, early_stopping(), max_epochs=9, min_epochs=5)
    trainer.fit(module, scripted_loader(2), scripted_loader(2))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 5, "best_model"]
    assert burr.state["stop_reason"].startswith("EarlyStopping stopped it: Monitored metric val_loss")
    assert burr.run.status == "finished"


class AsksToStop(ScriptedModule):
    """Asks to stop in the second batch of the second epoch."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        if (self.current_epoch, batch_idx) == (1, 1):
            self.trainer.should_stop = True
        return super().training_step(batch, batch_idx)


def test_a_module_that_asks_to_stop_brings_the_machine_to_its_end(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="asked", monitor="val_loss")
    trainer = make_trainer(burr, max_epochs=9)
    trainer.fit(AsksToStop(val_loss=[0.9, 0.5, 0.7]), scripted_loader(4), scripted_loader(2))

    assert walked(burr) == TWO_EPOCHS
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 6)
    assert burr.state["stop_reason"] == "trainer.should_stop was set by another callback or by the module"
    assert burr.run.status == "finished"


class OutOfTime(ScriptedModule):
    def on_train_epoch_start(self) -> None:
        timers = [callback for callback in self.trainer.callbacks if isinstance(callback, Timer)]
        if self.current_epoch == 1:
            timers[0].load_state_dict({"time_elapsed": {"train": 3600.0}})


class DiesBeforeBestModel(PreRunStepHook):
    def pre_run_step(self, *, action: Any, **future: Any) -> None:
        if action.name == "best_model":
            raise OSError("the power is gone")


def two_epochs(make_trainer: Any, why: str, *hooks: Any) -> BurrCallback:
    """A fit that ends after its second epoch, for one reason or another."""
    stop_when = reached("val_loss", 0.5) if why == "condition" else None
    burr = BurrCallback(run_id="ended", monitor="val_loss", stop_when=stop_when, hooks=hooks)
    kind = {"module": AsksToStop, "max_time": OutOfTime}.get(why, ScriptedModule)
    callbacks = [EarlyStopping("val_loss", stopping_threshold=0.6)] if why == "EarlyStopping" else []
    options = {
        "max_epochs": {"max_epochs": 2},
        "max_steps": {"max_steps": 4},
        "max_time": {"max_time": timedelta(hours=1), "max_epochs": 9},
    }.get(why, {"max_epochs": 9})
    trainer = make_trainer(burr, *callbacks, **options)
    trainer.fit(kind(val_loss=[0.9, 0.5, 0.3]), scripted_loader(2), scripted_loader(2))
    return burr


REASONS = {
    "condition": "reached(val_loss, 0.5)",
    "EarlyStopping": "EarlyStopping stopped it: Stopping threshold reached",
    "module": "trainer.should_stop was set by another callback or by the module",
    "max_time": "max_time",
    "max_epochs": "max_epochs=2 was reached",
    "max_steps": "max_steps=4 was reached",
}


@pytest.mark.parametrize("why", REASONS)
def test_a_run_that_ended_is_not_trained_again(make_trainer: Any, why: str) -> None:
    first = two_epochs(make_trainer, why)
    assert walked(first) == TWO_EPOCHS
    burr = two_epochs(make_trainer, why)

    assert walked(burr) == TWO_EPOCHS
    assert list(burr.history["val_loss"]) == [0.9, 0.5]
    assert (burr.state["epoch"], burr.state["finished"]) == (1, why != "condition")
    assert burr.state["stop_reason"] == first.state["stop_reason"]
    assert burr.state["stop_reason"].startswith(REASONS[why])
    assert burr.run.status == "finished"


@pytest.mark.parametrize("why", REASONS)
def test_a_run_that_died_just_before_best_model_goes_on_to_it_and_no_further(
    make_trainer: Any, why: str
) -> None:
    with pytest.raises(OSError, match="the power is gone"):
        two_epochs(make_trainer, why, DiesBeforeBestModel())
    burr = two_epochs(make_trainer, why)

    assert walked(burr) == TWO_EPOCHS
    assert list(burr.history["val_loss"]) == [0.9, 0.5]
    assert burr.state["best"]["epoch"] == 1
    assert burr.state["stop_reason"].startswith(REASONS[why])
    assert burr.run.status == "finished"
