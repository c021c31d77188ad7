"""Data that is not a plain list of tensors, and what the fingerprint of it may and may not do."""

import os

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from burr_lightning import BurrCallback, Run
from burr_lightning.errors import DataChangedError
from burr_lightning.testing import ScriptedModule, scripted_loader


class LazyFile(Dataset):
    """Opens its file at first use, as one does for HDF5; a shared file offset gives wrong samples."""

    def __init__(self, path, samples):
        self.path, self.samples, self.file = path, samples, None

    def __len__(self):
        return self.samples

    def __getitem__(self, index):
        if self.file is None:
            self.file = open(self.path, "rb", buffering=0)  # noqa: SIM115
            self.opened_by = os.getpid()
        self.file.seek(8 * index)
        return torch.from_numpy(np.frombuffer(self.file.read(8), dtype=np.float32).copy()), self.opened_by


class Reads(ScriptedModule):
    def __init__(self, **script):
        super().__init__(**script)
        self.opened_by = set()

    def training_step(self, batch, batch_idx):
        self.opened_by |= set(batch[1].tolist())
        return super().training_step(batch, batch_idx)


def test_a_data_set_with_workers_is_never_read_in_this_process(make_trainer, tmp_path):
    np.arange(32, dtype=np.float32).tofile(tmp_path / "samples")
    data = LazyFile(tmp_path / "samples", 16)
    module = Reads(val_loss=[0.5])
    loader = DataLoader(data, batch_size=4, num_workers=2)
    make_trainer(BurrCallback(run_id="a"), max_epochs=3).fit(module, loader, scripted_loader())
    assert data.file is None
    assert os.getpid() not in module.opened_by
    assert len(module.opened_by) == 6
    [facts] = Run.open("a").state["data"]["train"]
    assert (facts["samples"], facts["batches"]) == (16, 4)


class Custom(Dataset):
    def __init__(self, get):
        self.get = get

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return self.get(index)


def fit(make_trainer, data, max_epochs=1, run_id="a", workers=0, **options):
    module = ScriptedModule(val_loss=[0.5])
    loader = DataLoader(data, batch_size=2, num_workers=workers, **options)
    make_trainer(BurrCallback(run_id=run_id), max_epochs=max_epochs).fit(module, loader, scripted_loader())
    return Run.open(run_id).state["data"]["train"][0]["first_samples"]


@pytest.mark.parametrize("error", [OSError, AttributeError, AssertionError, ZeroDivisionError])
def test_a_sample_that_cannot_be_read_is_no_reason_to_stop(make_trainer, error):
    def get(index):
        if index == 0:
            raise error
        return [torch.ones(2)]

    assert fit(make_trainer, Custom(get), sampler=[2, 3, 4, 5]) is None


@pytest.mark.parametrize(
    "label",
    [lambda i: np.int64(i), lambda i: i, lambda i: f"{i}", lambda i: {"a": [torch.tensor(i)]}],
    ids=["numpy", "int", "str", "nested"],
)
def test_labels_of_any_common_kind_tell_data_apart(make_trainer, label):
    one = fit(make_trainer, Custom(lambda index: (torch.ones(2), label(index))))
    assert one is not None
    with pytest.raises(DataChangedError, match="train data 0, first_samples"):
        fit(make_trainer, Custom(lambda index: (torch.ones(2), label(index + 1))), max_epochs=2)


def test_augmented_samples_are_told_apart_by_what_they_are_made_from(make_trainer):
    def augmented(offset):
        return Custom(lambda index: [torch.rand(2) + index + offset])

    assert fit(make_trainer, augmented(0)) == fit(make_trainer, augmented(0), run_id="b")
    assert fit(make_trainer, augmented(1), run_id="c") != fit(make_trainer, augmented(0), run_id="d")


def test_a_worker_reads_the_samples_that_this_process_would(make_trainer):
    data = Custom(lambda index: [torch.full((2,), float(index))])
    assert fit(make_trainer, data) == fit(make_trainer, data, run_id="b", workers=1) is not None


def test_samples_that_differ_each_time_have_no_hash(make_trainer):
    calls = iter(range(10_000))
    assert fit(make_trainer, Custom(lambda index: [torch.full((2,), float(next(calls)))])) is None
    fit(make_trainer, Custom(lambda index: [torch.full((2,), float(next(calls)))]), max_epochs=2)
    assert Run.open("a").epoch == 1


class NewDataEachEpoch(ScriptedModule):
    def train_dataloader(self):
        value = float(self.current_epoch)
        return DataLoader(Custom(lambda index: [torch.full((2,), value)]), batch_size=2)


def test_data_that_is_other_data_in_each_epoch_can_be_resumed(make_trainer):
    for max_epochs in (2, 4):
        options = {"max_epochs": max_epochs, "reload_dataloaders_every_n_epochs": 1}
        module = NewDataEachEpoch(val_loss=[0.5])
        make_trainer(BurrCallback(run_id="a"), **options).fit(module, val_dataloaders=scripted_loader())
    assert Run.open("a").epoch == 3
