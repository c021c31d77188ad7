"""Commits inside an epoch: an interrupted epoch goes on where it was, and ends as if it had not been."""

from contextlib import suppress

import pytest
import torch
from digits import DigitNet, digit_loaders, weights_hash
from lightning.pytorch import Callback, seed_everything
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader
from torchmetrics import SumMetric
from torchmetrics.classification import MulticlassAccuracy

from burr_lightning import BurrCallback, Checkpoints, Run


class EverythingThatAccumulates(DigitNet):
    """Logs what only the whole epoch gives: means, extremes, metrics, and one that never starts over."""

    def __init__(self, by_step=False):
        super().__init__()
        self.by_step = by_step
        self.accuracy = MulticlassAccuracy(10)
        self.total = SumMetric()

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.accuracy(self.network(batch[0]), batch[1])
        self.log("accuracy", self.accuracy, on_step=False, on_epoch=True)
        self.log("worst", loss, on_step=False, on_epoch=True, reduce_fx="max")
        if batch_idx == 1:
            self.log("seldom", loss, on_step=False, on_epoch=True)
        self.total.update(loss.detach())
        return loss

    def on_train_epoch_start(self):
        torch.rand(1)

    def on_train_epoch_end(self):
        self.log("total", self.total.compute())

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=2e-3)
        if self.by_step:
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=100)
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.3)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


class Interrupted(Exception):
    pass


class Witness(Callback):
    """Notes every batch and its learning rate; ends the training before one of them."""

    def __init__(self, at=None):
        self.at, self.batches = at, []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == self.at:
            raise Interrupted
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.batches.append((trainer.current_epoch, batch_idx, batch[1].tolist(), rate))


@pytest.fixture
def fit(make_trainer):
    def run(run_id, keep, at=None, *, loader=StatefulDataLoader, workers=0, by_step=False, **options):
        seed_everything(1, verbose=False)
        train, validation = digit_loaders()
        data = loader(train.dataset, batch_size=64, shuffle=True, num_workers=workers)
        witness, burr = Witness(at), BurrCallback(run_id=run_id, monitor="val_loss", checkpoints=keep)
        trainer = make_trainer(witness, burr, max_epochs=3, **options)
        module = EverythingThatAccumulates(by_step)
        try:
            trainer.fit(module, data, validation)
        except Interrupted:
            return None
        states = [optimizer.state_dict() for optimizer in trainer.optimizers]
        return weights_hash(module), repr(states), burr.run.history, burr.run.path, witness.batches

    return run


@pytest.mark.parametrize(
    ("keep", "options"),
    [
        (Checkpoints(every_n_steps=3), {}),
        (Checkpoints(every_n_steps=2, asynchronous=True), {}),
        (Checkpoints(every_n_steps=2), {"val_check_interval": 0.5}),
        (Checkpoints(every_n_steps=1), {"accumulate_grad_batches": 3, "by_step": True}),
    ],
    ids=["every 3 steps", "asynchronous", "validation inside", "accumulated gradients"],
)
def test_an_epoch_goes_on_where_its_last_commit_was(fit, keep, options):
    weights, optimizers, history, path, batches = fit("whole", keep, **options)
    for at in [(0, 5), (1, 4), (2, 7)]:
        run_id = f"cut-{at[0]}"
        assert fit(run_id, keep, at, **options) is None
        resumed = fit(run_id, keep, **options)
        assert resumed[0] == weights
        assert resumed[1] == optimizers
        assert resumed[2] == history
        assert [step.action for step in resumed[3]] == [step.action for step in path]
        assert resumed[4] == batches[-len(resumed[4]) :]
        assert (at[0], 0) < resumed[4][0][:2] <= at


def test_workers_go_on_in_the_middle_of_an_epoch(fit):
    keep = Checkpoints(every_n_steps=3)
    whole = fit("whole", keep, workers=2)
    assert fit("cut", keep, (1, 7), workers=2) is None
    resumed = fit("cut", keep, workers=2)
    assert resumed[:3] == whole[:3]
    assert resumed[4][0][:2] == (1, 7)


class Noisy(torch.utils.data.Dataset):
    def __len__(self):
        return 64

    def __getitem__(self, index):
        return torch.rand(64), index % 10


def test_random_numbers_in_workers_are_told_of_where_an_epoch_goes_on(make_trainer, caplog):
    def train(at):
        data = StatefulDataLoader(Noisy(), batch_size=8, num_workers=1)
        burr = BurrCallback(run_id="a", checkpoints=Checkpoints(every_n_steps=2))
        with suppress(Interrupted):
            make_trainer(Witness(at), burr, max_epochs=1).fit(DigitNet(), data)
        return "the run goes on in the middle of an epoch: they are others than before" in caplog.text

    assert not train((0, 5))
    assert train(None)


def test_without_a_loader_that_can_go_on_the_epoch_starts_over_and_it_is_said_once(fit, caplog):
    keep = Checkpoints(every_n_steps=2)
    whole = fit("whole", keep, loader=DataLoader)
    assert caplog.text.count("Checkpoints(every_n_steps=2): no commits are made inside an epoch") == 1
    assert "(DataLoader) has no state_dict" in caplog.text
    assert fit("cut", keep, (1, 7), loader=DataLoader) is None
    assert Run.open("cut").state["checkpoint"]["epoch"] == 0
    resumed = fit("cut", keep, loader=DataLoader)
    assert resumed[:3] == whole[:3]
    assert resumed[4][0][:2] == (1, 0)


def test_only_the_newest_commit_inside_an_epoch_is_kept(fit):
    keep = Checkpoints(every_n_steps=2, keep_last=1, keep_best=0)
    fit("cut", keep, (1, 7))
    names = sorted(path.name for path in (Run.open("cut").folder / "checkpoints").iterdir())
    assert names == [
        "epoch=00000-step=00000008-commit=0000002.ckpt",
        "epoch=00001-step=00000014-commit=0000002-batch=0000006.ckpt",
    ]
    fit("cut", keep)
    assert not list((Run.open("cut").folder / "checkpoints").glob("*batch*"))
