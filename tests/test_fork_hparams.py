"""What a fork with other hyperparameters trains with."""

import logging

import pytest
import torch
from digits import digit_loaders
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch.optim import lr_scheduler as schedulers

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.mixins import BurrMixin

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
SCHEDULES = {
    "none": lambda optimizer: None,
    "step": lambda optimizer: schedulers.StepLR(optimizer, 2, 0.5),
    "warm-up": lambda optimizer: schedulers.LambdaLR(optimizer, lambda epoch: min(1.0, (epoch + 1) / 5)),
    "one-cycle": lambda optimizer: schedulers.OneCycleLR(optimizer, [2e-3, 2e-4], total_steps=8),
    "cosine": lambda optimizer: schedulers.CosineAnnealingLR(optimizer, 3),
    "sequence": lambda optimizer: schedulers.SequentialLR(
        optimizer,
        [schedulers.LinearLR(optimizer, 0.1, total_iters=2), schedulers.ExponentialLR(optimizer, 0.8)],
        [2],
    ),
}


class Grouped(LightningModule):
    """A head, and a backbone that learns ten times more slowly and whose biases do not decay."""

    schedule = "none"

    def __init__(self, lr=2e-3, weight_decay=0.01, eps=1e-8, dropout=0.1):
        super().__init__()
        self.save_hyperparameters()
        self.backbone, self.head = torch.nn.Linear(64, 16), torch.nn.Linear(16, 10)

    def training_step(self, batch, batch_idx):
        output = self.head(torch.relu(self.backbone(batch[0])))
        return torch.nn.functional.cross_entropy(output, batch[1])

    def configure_optimizers(self):
        rate, decay = self.hparams.lr, self.hparams.weight_decay
        groups = [
            {"params": self.head.parameters(), "lr": rate},
            {"params": self.backbone.parameters(), "lr": rate / 10, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=decay, eps=self.hparams.eps)
        schedule = SCHEDULES[self.schedule](optimizer)
        return optimizer if schedule is None else ([optimizer], [schedule])


class Mixed(BurrMixin, Grouped):
    pass


class Groups(Callback):
    """What the groups have in the first batch of each epoch."""

    def __init__(self):
        self.seen = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        groups = [dict(group) for group in trainer.optimizers[0].param_groups]
        self.seen.setdefault(trainer.current_epoch, groups)

    def of(self, key):
        return {epoch: [group[key] for group in groups] for epoch, groups in self.seen.items()}


def fit(run_id, make=Grouped, max_epochs=8, **hparams):
    seed_everything(1, verbose=False)
    groups = Groups()
    burr = BurrCallback(run_id, checkpoints=Checkpoints(keep_last=9))
    module = make(**hparams)
    Trainer(max_epochs=max_epochs, callbacks=[groups, burr], **QUIET).fit(module, digit_loaders(64)[0])
    return groups


@pytest.mark.parametrize("make", [Grouped, Mixed])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("epoch", [0, 3])
def test_each_group_has_the_rates_of_its_schedule_in_proportion(monkeypatch, schedule, make, epoch):
    """Also where the rate of the instant is no multiple of the hyperparameter, as in a warm-up, or is 0."""
    monkeypatch.setattr(Grouped, "schedule", schedule)
    parent = fit("base", make).of("lr")
    Run.open("base").fork(epoch, "fork", {"lr": 5e-4})
    fork = fit("fork", make).of("lr")
    assert min(fork) == epoch + 1
    for trained, rates in fork.items():
        assert rates == pytest.approx([rate / 4 for rate in parent[trained]], rel=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_same_value_changes_nothing(monkeypatch, schedule):
    monkeypatch.setattr(Grouped, "schedule", schedule)
    parent = fit("base").of("lr")
    Run.open("base").fork(1, "fork", {"lr": 2e-3})
    fork = fit("fork").of("lr")
    assert fork == {epoch: parent[epoch] for epoch in fork}


@pytest.mark.parametrize("make", [Grouped, Mixed])
def test_others_are_changed_in_the_groups_that_had_the_old_value(make, caplog):
    fit("base", make, max_epochs=2)
    Run.open("base").fork(0, "fork", {"weight_decay": 0.25, "eps": 1e-4})
    fork = fit("fork", make, max_epochs=2)
    assert fork.of("weight_decay") == {1: [0.25, 0.0]}
    assert fork.of("eps") == {1: [1e-4, 1e-4]}
    assert "nothing else does" not in caplog.text


@pytest.mark.parametrize("make", [Grouped, Mixed])
def test_a_name_that_no_group_has_is_told_of(make, caplog):
    fit("base", make, max_epochs=2)
    Run.open("base").fork(0, "fork", {"dropout": 0.5, "lr": 1e-3})
    with caplog.at_level(logging.WARNING):
        fit("fork", make, max_epochs=2)
    [told] = [record.message for record in caplog.records if "The fork changes" in record.message]
    assert told.startswith("The fork changes dropout=0.5: self.hparams has that from here on, and nothing")


@pytest.mark.parametrize("make", [Grouped, Mixed])
def test_what_the_script_has_built_the_module_with_needs_no_warning(make, caplog):
    fit("base", make, max_epochs=2)
    Run.open("base").fork(0, "fork", {"dropout": 0.5, "eps": 1e-4})
    with caplog.at_level(logging.WARNING):
        fork = fit("fork", make, max_epochs=2, dropout=0.5)
    assert fork.of("eps") == {1: [1e-4, 1e-4]}
    assert "The fork changes" not in caplog.text


class NamedTwice(Grouped):
    """Has one rate under two names, as where its base class saves its own."""

    def __init__(self, lr=2e-3, learning_rate=2e-3):
        super().__init__(lr)
        self.save_hyperparameters()


def test_a_rate_under_two_names_changes_once():
    parent = fit("base", NamedTwice).of("lr")
    Run.open("base").fork(0, "fork", {"lr": 5e-4, "learning_rate": 5e-4})
    fork = fit("fork", NamedTwice).of("lr")
    assert fork == {epoch: pytest.approx([rate / 4 for rate in parent[epoch]]) for epoch in range(1, 8)}


class Unsaved(LightningModule):
    """Has a rate, and has not saved it."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=2e-3)
        return [optimizer], [SCHEDULES["warm-up"](optimizer)]


def test_a_rate_that_only_the_caller_knows_changes_in_proportion_to_it():
    parent = fit("base", Unsaved).of("lr")
    Run.open("base").fork(0, "in-proportion", {"lr": 5e-4}, known={"lr": 2e-3})
    fork = fit("in-proportion", Unsaved).of("lr")
    assert fork == {epoch: pytest.approx([parent[epoch][0] / 4]) for epoch in range(1, 8)}
    Run.open("base").fork(0, "of-the-instant", {"lr": 5e-4})
    assert fit("of-the-instant", Unsaved).of("lr")[1] == [5e-4]


class OnPlateau(Grouped):
    """Its rate falls to a tenth when an epoch is over: the loss that it watches never gets better."""

    def training_step(self, batch, batch_idx):
        self.log("level", 1.0, on_epoch=True, on_step=False)
        return super().training_step(batch, batch_idx)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
        plateau = schedulers.ReduceLROnPlateau(optimizer, patience=0, factor=0.1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "level"}}


def test_what_a_scheduler_does_at_the_end_of_the_parent_s_epoch_comes_first():
    parent = fit("base", OnPlateau, max_epochs=4).of("lr")
    Run.open("base").fork(1, "fork", {"lr": 1e-3})
    fork = fit("fork", OnPlateau, max_epochs=4).of("lr")
    for epoch, rates in fork.items():
        assert rates == pytest.approx([rate / 2 for rate in parent[epoch]], rel=1e-9)
