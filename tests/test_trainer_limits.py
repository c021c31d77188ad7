"""Lightning's own limits, and data of every length: the machine ends when Lightning ends, and says why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from burr.lifecycle import PostRunStepHook
from lightning.pytorch.callbacks import Timer
from looks import NAN, CountsBatches, walked
from torch.utils.data import DataLoader, IterableDataset

from burr_lightning import BurrCallback
from burr_lightning.conditions import reached
from burr_lightning.errors import RunNotFoundError
from burr_lightning.testing import ScriptedModule, scripted_loader


@pytest.mark.parametrize(("limit", "trained"), [(3, 3), (0.5, 2)])
def test_limit_train_batches_shortens_every_epoch(make_trainer: Any, limit: float, trained: int) -> None:
    burr = BurrCallback(run_id="limited", monitor="val_loss")
    module = CountsBatches(val_loss=[0.9, 0.5])
    make_trainer(burr, max_epochs=2, limit_train_batches=limit).fit(
        module, scripted_loader(4), scripted_loader(2)
    )

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 2, "best_model"]
    assert module.seen == [(epoch, batch) for epoch in (0, 1) for batch in range(trained)]
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 2 * trained)
    assert list(burr.history["val_loss"]) == [0.9, 0.5]
    assert burr.history.progress("val_loss", "min").checks == 2
    assert burr.run.status == "finished"


def test_limit_val_batches_0_is_no_validation(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="limited", monitor="loss")
    make_trainer(burr, max_epochs=2, limit_val_batches=0).fit(
        ScriptedModule(loss=[0.9, 0.5]), scripted_loader(2), scripted_loader(2)
    )

    assert walked(burr) == ["process_data", "train_epoch", "train_epoch", "best_model"]
    assert list(burr.history["loss"]) == [0.9, 0.5]
    assert burr.run.status == "finished"


class Walk(PostRunStepHook):
    def __init__(self) -> None:
        self.actions: list[str] = []

    def post_run_step(self, *, action: Any, **future: Any) -> None:
        self.actions.append(action.name)


@pytest.mark.parametrize(("fast_dev_run", "batches"), [(True, 1), (3, 3)])
def test_fast_dev_run_walks_in_memory_and_leaves_nothing_on_disk(
    make_trainer: Any, own_home: Path, fast_dev_run: bool | int, batches: int
) -> None:
    walk = Walk()
    burr = BurrCallback(run_id="tried-out", monitor="val_loss", hooks=[walk])
    make_trainer(burr, fast_dev_run=fast_dev_run).fit(
        ScriptedModule(val_loss=[0.9]), scripted_loader(4), scripted_loader(4)
    )

    assert walk.actions == ["process_data", "train_epoch", "validate", "best_model"]
    assert list(burr.history["val_loss"]) == [0.9]
    assert (burr.state["epoch"], burr.state["global_step"]) == (0, batches)
    assert (burr.state["best"]["epoch"], burr.state["checkpoint"]) == (0, None)
    assert (burr.state["finished"], burr.state["stop_reason"]) == (True, f"max_steps={batches} was reached")
    assert [path for path in own_home.rglob("*") if path.is_file()] == []
    with pytest.raises(RunNotFoundError):
        _ = burr.run


def test_fast_dev_run_does_not_touch_the_run_that_is_there(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="there", monitor="val_loss")
    data = scripted_loader(), scripted_loader(2)
    make_trainer(burr, max_epochs=2).fit(ScriptedModule(val_loss=[0.9, 0.5]), *data)
    steps = walked(burr)
    make_trainer(burr, fast_dev_run=True).fit(ScriptedModule(val_loss=[0.1]), *data)

    assert list(burr.history["val_loss"]) == [0.1]
    assert walked(burr) == steps
    assert list(burr.run.history["val_loss"]) == [0.9, 0.5]
    assert burr.run.status == "finished"


def test_overfit_batches_trains_and_validates_on_few_batches(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="overfit", monitor="val_loss")
    module = CountsBatches(val_loss=[0.9, 0.5, 0.7])
    make_trainer(burr, max_epochs=3, overfit_batches=2).fit(module, scripted_loader(4), scripted_loader(4))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 3, "best_model"]
    assert module.seen == [(epoch, batch) for epoch in range(3) for batch in range(2)]
    assert burr.state["global_step"] == 6
    assert burr.history.progress("val_loss", "min").checks == 3
    assert burr.state["best"]["epoch"] == 1
    assert burr.run.status == "finished"


def test_max_time_ends_the_epoch_in_which_it_is_over(make_trainer: Any) -> None:
    class Slow(CountsBatches):
        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            loss = super().training_step(batch, batch_idx)
            if len(self.seen) == 6:
                timer = next(c for c in self.trainer.callbacks if isinstance(c, Timer))
                timer.load_state_dict({"time_elapsed": {"train": 3600.0}})
            return loss

    burr = BurrCallback(run_id="an-hour", monitor="val_loss")
    trainer = make_trainer(burr, max_epochs=9, max_time=timedelta(hours=1))
    trainer.fit(Slow(val_loss=[0.9, 0.5]), scripted_loader(4), scripted_loader(2))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 2, "best_model"]
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 6)
    assert list(burr.history["val_loss"]) == [0.9, 0.5]
    assert burr.state["finished"]
    assert burr.state["stop_reason"].startswith("max_time")
    assert burr.run.status == "finished"


def test_min_epochs_outlasts_max_time(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="no-time", monitor="val_loss")
    trainer = make_trainer(burr, max_epochs=9, min_epochs=3, max_time=timedelta(microseconds=1))
    trainer.fit(ScriptedModule(val_loss=[0.9, 0.5, 0.7]), scripted_loader(2), scripted_loader(2))

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 3, "best_model"]
    assert list(burr.history["val_loss"]) == [0.9, 0.5, 0.7]
    assert burr.state["stop_reason"].startswith("max_time")
    assert burr.run.status == "finished"


@pytest.mark.parametrize(
    ("minimum", "epochs"), [({"min_epochs": 3}, 3), ({"min_steps": 6}, 2), ({"min_steps": 8}, 2)]
)
def test_a_stop_condition_waits_for_lightnings_minimum(
    make_trainer: Any, minimum: dict[str, int], epochs: int
) -> None:
    burr = BurrCallback(run_id="patient", monitor="val_loss", stop_when=reached("val_loss", 0.5))
    make_trainer(burr, max_epochs=9, **minimum).fit(
        ScriptedModule(val_loss=[0.4, 0.3, 0.2]), scripted_loader(4), scripted_loader(2)
    )

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * epochs, "best_model"]
    assert (burr.state["epoch"], burr.state["global_step"]) == (epochs - 1, 4 * epochs)
    assert burr.history.progress("val_loss", "min").checks == epochs
    assert burr.state["stop_reason"].startswith("reached(val_loss, 0.5)")
    assert burr.run.status == "finished"


def test_a_stop_condition_inside_an_epoch_waits_for_min_steps(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="patient", monitor="val_loss", stop_when=reached("val_loss", 0.5))
    make_trainer(burr, max_epochs=9, min_steps=6, val_check_interval=0.5).fit(
        ScriptedModule(val_loss=[0.4, 0.3, 0.2, 0.1]), scripted_loader(4), scripted_loader(2)
    )

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 3, "best_model"]
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 6)
    assert list(burr.history["val_loss"]) == [0.3, 0.2]
    assert burr.run.status == "finished"


def test_without_max_epochs_the_stop_condition_ends_the_run(make_trainer: Any) -> None:
    burr = BurrCallback(run_id="endless", monitor="val_loss", stop_when=reached("val_loss", 0.5))
    make_trainer(burr, max_epochs=-1).fit(
        ScriptedModule(val_loss=[0.9, 0.8, 0.7, 0.5]), scripted_loader(2), scripted_loader(2)
    )

    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 4, "best_model"]
    assert burr.state["epoch"] == 3
    assert burr.state["stop_reason"].startswith("reached(val_loss, 0.5)")
    assert burr.run.status == "finished"


class Stream(IterableDataset):
    def __iter__(self) -> Iterator[tuple[torch.Tensor]]:
        for number in range(6):
            yield (torch.full((2,), number / 6),)


def stream() -> DataLoader[Any]:
    return DataLoader(Stream(), batch_size=2)


@pytest.mark.parametrize("validation", [None, stream()], ids=["no validation", "validation"])
def test_data_without_a_length_is_trained_and_resumed(make_trainer: Any, validation: Any) -> None:
    burr = BurrCallback(run_id="stream", monitor="loss")
    make_trainer(burr, max_epochs=1).fit(ScriptedModule(loss=[0.9, 0.5, 0.7]), stream(), validation)
    epoch = ["train_epoch"] if validation is None else ["train_epoch", "validate"]
    assert walked(burr) == ["process_data", *epoch, "best_model"]
    assert burr.run.status == "finished"

    module = CountsBatches(loss=[0.9, 0.5, 0.7])
    make_trainer(burr, max_epochs=3).fit(module, stream(), validation)
    assert walked(burr)[-1] == "best_model"
    assert module.seen == [(epoch, batch) for epoch in (1, 2) for batch in range(3)]
    assert list(burr.history["loss"]) == [0.9, 0.5, 0.7]
    assert burr.history.progress("loss", "min").checks == 3
    assert (burr.state["epoch"], burr.state["global_step"]) == (2, 9)
    assert burr.state["stop_reason"] == "max_epochs=3 was reached"
    assert burr.run.status == "finished"


@pytest.mark.parametrize(("skip_at", "steps"), [(0, 8), (2, 10)])
def test_an_epoch_whose_rest_the_module_skips_is_an_epoch(
    make_trainer: Any, skip_at: int, steps: int
) -> None:
    class Skips(CountsBatches):
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
            return -1 if (self.current_epoch, batch_idx) == (1, skip_at) else None

    burr = BurrCallback(run_id="skips", monitor="val_loss")
    module = Skips(val_loss=[0.9, 0.5])
    make_trainer(burr, max_epochs=3).fit(module, scripted_loader(4), scripted_loader(2))

    path = ["train_epoch", "validate", "train_epoch", "train_epoch", "validate"]
    assert walked(burr) == ["process_data", *path, "best_model"]
    assert [step.epoch for step in burr.run.path] == [None, 0, 0, 1, 2, 2, None]
    assert [batch for epoch, batch in module.seen if epoch == 1] == list(range(skip_at))
    assert (burr.state["epoch"], burr.state["global_step"]) == (2, steps)
    assert list(burr.history["val_loss"]) == [0.9, NAN, 0.5]
    assert burr.history.progress("val_loss", "min").checks == 2
    assert burr.run.status == "finished"
