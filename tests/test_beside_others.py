"""The callback beside what else a trainer has: loggers, other callbacks, other entry points, a second fit."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from looks import NAN, walked

from burr_lightning import BurrCallback, list_runs
from burr_lightning.testing import ScriptedModule, scripted_loader


class Evaluated(ScriptedModule):
    """Can also be tested and used to predict."""

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("weight", self.layer.weight.sum().double())

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        return self.layer(batch[0])


TWO_EPOCHS = ["process_data", *["train_epoch", "validate"] * 2, "best_model"]


def test_a_csv_logger_gets_what_it_gets_without_us(make_trainer: Any, tmp_path: Path) -> None:
    def logged(name: str, *callbacks: Any) -> list[dict[str, str]]:
        logger = CSVLogger(tmp_path, name=name, version="0")
        trainer = make_trainer(*callbacks, logger=logger, max_epochs=2, log_every_n_steps=1)
        trainer.fit(ScriptedModule(val_loss=[0.9, 0.5]), scripted_loader(2), scripted_loader(2))
        with open(tmp_path / name / "0" / "metrics.csv", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    burr = BurrCallback(run_id="logged", monitor="val_loss")
    with_us = logged("with", burr)

    assert with_us == logged("without")
    assert [float(row["val_loss"]) for row in with_us] == [0.9, 0.5]
    assert walked(burr) == TWO_EPOCHS
    assert list(burr.history["val_loss"]) == [0.9, 0.5]
    assert burr.run.status == "finished"


def test_without_a_logger_every_value_is_in_the_history(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="unlogged", monitor="val_loss")
    trainer = make_trainer(burr, logger=False, max_epochs=2)
    trainer.fit(ScriptedModule(val_loss=[0.9, 0.5]), scripted_loader(2), scripted_loader(2))

    assert walked(burr) == TWO_EPOCHS
    assert list(burr.history["val_loss"]) == [0.9, 0.5]
    assert burr.run.status == "finished"


def test_a_second_fit_of_a_named_run_goes_on_with_it(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="named", monitor="val_loss")
    data = scripted_loader(2), scripted_loader(2)
    make_trainer(burr, max_epochs=2).fit(ScriptedModule(val_loss=[0.9, 0.5, 0.7, 0.4]), *data)
    assert walked(burr) == TWO_EPOCHS
    make_trainer(burr, max_epochs=4).fit(ScriptedModule(val_loss=[0.9, 0.5, 0.7, 0.4]), *data)

    assert [run.run_id for run in list_runs()] == ["named"]
    assert [step.epoch for step in burr.run.path if step.action == "train_epoch"] == [0, 1, 2, 3]
    assert walked(burr)[-1] == "best_model"
    assert list(burr.history["val_loss"]) == [0.9, 0.5, 0.7, 0.4]
    assert burr.history.progress("val_loss", "min").checks == 4
    assert (burr.state["epoch"], burr.state["global_step"]) == (3, 8)
    assert burr.state["stop_reason"] == "max_epochs=4 was reached"
    assert burr.run.status == "finished"


def test_a_second_fit_of_a_finished_run_trains_nothing(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="named", monitor="val_loss")
    data = scripted_loader(2), scripted_loader(2)
    make_trainer(burr, max_epochs=2).fit(ScriptedModule(val_loss=[0.9, 0.5]), *data)
    trainer, module = make_trainer(burr, max_epochs=2), ScriptedModule(val_loss=[0.1])
    trainer.fit(module, *data)

    assert walked(burr) == TWO_EPOCHS
    assert list(burr.history["val_loss"]) == [0.9, 0.5]
    assert (burr.state["epoch"], trainer.global_step) == (1, 4)
    assert burr.state["stop_reason"] == "max_epochs=2 was reached"
    assert burr.run.status == "finished"


def test_the_same_trainer_can_fit_a_named_run_for_longer(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="named", monitor="val_loss")
    module, data = ScriptedModule(val_loss=[0.9, 0.5, 0.7]), (scripted_loader(2), scripted_loader(2))
    trainer = make_trainer(burr, max_epochs=2)
    trainer.fit(module, *data)
    trainer.fit_loop.max_epochs = 3
    trainer.fit(module, *data)

    assert [step.epoch for step in burr.run.path if step.action == "train_epoch"] == [0, 1, 2]
    assert walked(burr)[-1] == "best_model"
    assert list(burr.history["val_loss"]) == [0.9, 0.5, 0.7]
    assert (burr.state["epoch"], burr.state["global_step"]) == (2, 6)
    assert burr.state["stop_reason"] == "max_epochs=3 was reached"
    assert burr.run.status == "finished"


def test_a_second_fit_without_a_name_is_a_second_run(make_trainer: Any) -> None:
    burr = BurrCallback(monitor="val_loss")
    data = scripted_loader(2), scripted_loader(2)
    make_trainer(burr, max_epochs=2).fit(ScriptedModule(val_loss=[0.9, 0.5]), *data)
    first = burr.run
    make_trainer(burr, max_epochs=2).fit(ScriptedModule(val_loss=[0.3, 0.4]), *data)

    assert {run.run_id for run in list_runs()} == {first.run_id, burr.run.run_id}
    assert first.run_id != burr.run.run_id
    assert [step.action for step in first.path] == walked(burr) == TWO_EPOCHS
    assert list(first.history["val_loss"]) == [0.9, 0.5]
    assert list(burr.history["val_loss"]) == [0.3, 0.4]
    assert burr.state["best"]["epoch"] == 0
    assert [run.status for run in list_runs()] == ["finished", "finished"]


def test_the_same_trainer_fitting_on_without_a_name_begins_a_run_in_the_middle(make_trainer: Any) -> None:
    burr = BurrCallback(monitor="val_loss")
    module, data = ScriptedModule(val_loss=[0.9, 0.5, 0.7]), (scripted_loader(2), scripted_loader(2))
    trainer = make_trainer(burr, max_epochs=2)
    trainer.fit(module, *data)
    trainer.fit_loop.max_epochs = 3
    trainer.fit(module, *data)

    assert len(list_runs()) == 2
    assert walked(burr) == ["process_data", "train_epoch", "validate", "best_model"]
    assert list(burr.history["val_loss"]) == [NAN, NAN, 0.7]
    assert (burr.state["epoch"], burr.state["global_step"]) == (2, 6)
    assert burr.state["best"]["epoch"] == 2
    assert burr.run.status == "finished"


def test_before_a_fit_the_other_entry_points_leave_no_run(make_trainer: Any, tmp_path: Path) -> None:
    burr = BurrCallback(run_id="evaluated", monitor="val_loss")
    trainer, module = make_trainer(burr), Evaluated(val_loss=[0.9])
    trainer.validate(module, scripted_loader(2), verbose=False)
    trainer.test(module, scripted_loader(2), verbose=False)
    trainer.predict(module, scripted_loader(2))

    assert list_runs() == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    with pytest.raises(RuntimeError, match=r"before trainer\.fit"):
        _ = burr.state


def test_after_a_fit_the_other_entry_points_leave_the_run_as_it_is(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="evaluated", monitor="val_loss")
    trainer, module = make_trainer(burr, max_epochs=2), Evaluated(val_loss=[0.9, 0.5, 0.1])
    trainer.validate(module, scripted_loader(2), verbose=False)
    trainer.fit(module, scripted_loader(2), scripted_loader(2))
    state, steps, stored = burr.state.get_all(), walked(burr), burr.run.state
    trainer.validate(module, scripted_loader(2), verbose=False)
    trainer.test(module, scripted_loader(2), verbose=False)
    predictions = trainer.predict(module, scripted_loader(2))

    assert len(predictions) == 2
    assert burr.state.get_all() == state
    assert burr.run.state == stored
    assert walked(burr) == steps == TWO_EPOCHS
    assert list(burr.history["val_loss"]) == [0.5, 0.1]
    assert burr.run.status == "finished"


def test_ckpt_path_best_means_our_best_checkpoint(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="tested", monitor="val_loss")
    trainer, module = make_trainer(burr, max_epochs=4), Evaluated(val_loss=[0.9, 0.5, 0.7, 0.8])
    trainer.fit(module, scripted_loader(2), scripted_loader(2))
    best = torch.load(burr.run.best_checkpoint, weights_only=True)["state_dict"]["layer.weight"]
    assert not torch.equal(best, module.layer.weight)
    [tested] = trainer.test(module, scripted_loader(2), ckpt_path="best", verbose=False)

    assert burr.best_model_path == str(burr.run.best_checkpoint)
    assert burr.state["best"]["epoch"] == 1
    assert tested["weight"] == pytest.approx(float(best.sum()))
    assert torch.equal(module.layer.weight, best)


def test_after_a_start_that_trained_nothing_ckpt_path_best_still_works(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="tested", monitor="val_loss")
    data = scripted_loader(2), scripted_loader(2)
    make_trainer(burr, max_epochs=3).fit(Evaluated(val_loss=[0.9, 0.5, 0.7]), *data)
    best = torch.load(burr.run.best_checkpoint, weights_only=True)["state_dict"]["layer.weight"]
    again, module = BurrCallback(run_id="tested", monitor="val_loss"), Evaluated(val_loss=[0.9])
    trainer = make_trainer(again, max_epochs=3)
    trainer.fit(module, *data)
    trainer.test(module, scripted_loader(2), ckpt_path="best", verbose=False)

    assert torch.equal(module.layer.weight, best)


def test_a_users_own_model_checkpoint_works_beside_us(make_trainer: Any, tmp_path: Path) -> None:
    own = ModelCheckpoint(tmp_path / "own", monitor="val_loss", save_last=True, filename="own-{epoch}")
    burr = BurrCallback(run_id="two", monitor="val_loss")
    trainer, module = make_trainer(burr, own, max_epochs=3), Evaluated(val_loss=[0.9, 0.5, 0.7])
    trainer.fit(module, scripted_loader(2), scripted_loader(2))

    assert Path(own.best_model_path).name == "own-epoch=1.ckpt"
    assert (tmp_path / "own" / "last.ckpt").exists()
    assert burr.state["best"]["epoch"] == 1
    theirs, ours = (
        torch.load(path, weights_only=True)["state_dict"]["layer.weight"]
        for path in (own.best_model_path, burr.run.best_checkpoint)
    )
    assert torch.equal(theirs, ours)
    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 3, "best_model"]
    assert burr.run.status == "finished"


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_users_own_model_checkpoint_goes_on_with_a_resumed_run(
    make_trainer: Any, tmp_path: Path, ours_first: bool
) -> None:
    own = None
    for epochs in (2, 4):
        own = ModelCheckpoint(tmp_path / "own", monitor="val_loss", save_top_k=2)
        burr = BurrCallback(run_id="two", monitor="val_loss")
        callbacks = [burr, own] if ours_first else [own, burr]
        module = ScriptedModule(val_loss=[0.9, 0.5, 0.7, 0.8])
        make_trainer(*callbacks, max_epochs=epochs).fit(module, scripted_loader(2), scripted_loader(2))

    assert sorted(float(value) for value in own.best_k_models.values()) == pytest.approx([0.5, 0.7])
    assert len(list((tmp_path / "own").iterdir())) == 2
