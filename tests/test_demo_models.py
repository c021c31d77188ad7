"""Every demo model and data module that comes with Lightning, unchanged, as a user would try it first.

Left out: `MNISTDataModule`, which downloads MNIST in `prepare_data`; `Net`, `SimpleLSTM` and
`Transformer`, which are parts of models. The language models read a text file that they would
download, were it not there already.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.demos.boring_classes import (
    BoringDataModule,
    BoringDataModuleNoLen,
    BoringModel,
    DemoModel,
    IterableBoringDataModule,
    ManualOptimBoringModel,
    RandomDataset,
    RandomDictDataset,
    RandomIterableDataset,
    RandomIterableDatasetWithLen,
)
from lightning.pytorch.demos.lstm import LightningLSTM
from lightning.pytorch.demos.transformer import LightningTransformer
from looks import walked
from torch.utils.data import DataLoader

from burr_lightning import BurrCallback

TRAINED = ["process_data", *["train_epoch"] * 2, "best_model"]
VALIDATED = ["process_data", *["train_epoch", "validate"] * 2, "best_model"]
FOUR_BATCHES = {"max_epochs": 2, "limit_train_batches": 4, "limit_val_batches": 2}


def assert_finished_after_two_epochs(burr: BurrCallback, steps: int = 8) -> None:
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, steps)
    assert burr.state["checkpoint"]["epoch"] == 1
    assert burr.state["best"]["checkpoint"] == burr.state["checkpoint"]["path"]
    assert (burr.state["finished"], burr.state["stop_reason"]) == (True, "max_epochs=2 was reached")
    assert burr.run.status == "finished"


@pytest.mark.parametrize("model", [BoringModel, ManualOptimBoringModel])
def test_boring_models_with_their_own_data(make_trainer: Any, model: Any) -> None:
    burr = BurrCallback(run_id="boring")
    make_trainer(burr, **FOUR_BATCHES).fit(model())

    assert walked(burr) == VALIDATED
    assert burr.history.names == []
    assert (len(burr.history), burr.history.checks) == (2, 2)
    assert_finished_after_two_epochs(burr)


@pytest.mark.parametrize("model", [BoringModel, ManualOptimBoringModel])
@pytest.mark.parametrize("datamodule", [BoringDataModule, BoringDataModuleNoLen])
def test_boring_models_with_a_data_module(make_trainer: Any, model: Any, datamodule: Any) -> None:
    burr = BurrCallback(run_id="boring")
    make_trainer(burr, **FOUR_BATCHES).fit(model(), datamodule=datamodule())

    assert walked(burr) == VALIDATED
    assert_finished_after_two_epochs(burr)


@pytest.mark.parametrize("datamodule", [BoringDataModule, BoringDataModuleNoLen])
def test_a_data_module_kept_for_a_second_fit_resumes_its_run(make_trainer: Any, datamodule: Any) -> None:
    burr, data = BurrCallback(run_id="boring"), datamodule()
    make_trainer(burr, **{**FOUR_BATCHES, "max_epochs": 1}).fit(BoringModel(), datamodule=data)
    make_trainer(burr, **FOUR_BATCHES).fit(BoringModel(), datamodule=data)

    assert [step.epoch for step in burr.run.path if step.action == "train_epoch"] == [0, 1]
    assert_finished_after_two_epochs(burr)


def test_a_data_module_with_several_loaders_some_without_a_length(make_trainer: Any) -> None:
    class BoringModelForSeveral(BoringModel):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            return torch.stack([self.step(part) for part in batch]).sum()

        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int) -> None:
            self.log("val_loss", self.step(batch))

    burr = BurrCallback(run_id="boring", monitor="val_loss/dataloader_idx_1")
    make_trainer(burr, **FOUR_BATCHES).fit(BoringModelForSeveral(), datamodule=IterableBoringDataModule())

    assert walked(burr) == VALIDATED
    assert burr.history.names == ["val_loss/dataloader_idx_0", "val_loss/dataloader_idx_1"]
    assert burr.history.progress("val_loss/dataloader_idx_1", "min").checks == 2
    assert burr.run.status == "finished"


@pytest.mark.parametrize("dataset", [RandomDataset, RandomIterableDataset, RandomIterableDatasetWithLen])
def test_the_demo_model_with_every_random_dataset(make_trainer: Any, dataset: Any) -> None:
    burr = BurrCallback(run_id="demo")
    make_trainer(burr, max_epochs=2).fit(DemoModel(), DataLoader(dataset(32, 4)))

    assert walked(burr) == TRAINED
    assert_finished_after_two_epochs(burr)


def test_batches_that_are_dicts(make_trainer: Any) -> None:
    class TakesDicts(DemoModel):
        def training_step(self, batch: Any, batch_nb: int) -> Any:
            return super().training_step(batch["a"] + batch["b"], batch_nb)

    burr = BurrCallback(run_id="demo")
    make_trainer(burr, max_epochs=2).fit(TakesDicts(), DataLoader(RandomDictDataset(32, 4)))

    assert walked(burr) == TRAINED
    assert_finished_after_two_epochs(burr)


@pytest.mark.parametrize(("model", "metrics"), [(LightningLSTM, ["train_loss"]), (LightningTransformer, [])])
def test_language_models(make_trainer: Any, tmp_path: Path, model: Any, metrics: list[str]) -> None:
    text = tmp_path / "data" / "wikitext-2.txt"
    text.parent.mkdir()
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 200, encoding="utf-8")
    burr = BurrCallback(run_id="language")
    make_trainer(burr, max_epochs=2, limit_train_batches=1).fit(model(vocab_size=9))

    assert walked(burr) == TRAINED
    assert burr.history.names == metrics
    assert [burr.history.progress(name, "min").checks for name in metrics] == [2] * len(metrics)
    assert_finished_after_two_epochs(burr, steps=2)
