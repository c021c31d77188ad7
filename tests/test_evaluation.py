"""Evaluating on the test data in the middle of a run, and loading the best weights."""

import pytest
import torch
from burr.core import Condition
from exact_machines import Data, Measured, with_actions
from exact_parts import digits
from lightning.pytorch import Callback, seed_everything
from test_actions import trained, weights
from torch.utils.data import DataLoader

from burr_lightning import BurrCallback
from burr_lightning.actions import BestModel, Evaluate


def test_what_the_training_has_logged_is_there_as_if_nothing_had_been_evaluated(make_trainer):
    class Logged(Callback):
        """What other callbacks monitor, when each epoch begins."""

        def on_train_epoch_start(self, trainer, pl_module):
            kinds = trainer.callback_metrics, trainer.logged_metrics, trainer.progress_bar_metrics
            seen.append([{name: float(value) for name, value in kind.items()} for kind in kinds])

        on_train_end = on_train_epoch_start

    class Shown(Measured):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.log("shown", loss, prog_bar=True)
            return loss

    runs = []
    for graph in (with_actions(), with_actions(test=(Evaluate(), (0, 1, 2)))):
        seen = []
        seed_everything(3, verbose=False)
        burr = BurrCallback(machine=graph)
        make_trainer(Logged(), burr, max_epochs=3).fit(Shown(), datamodule=Data())
        runs.append(seen)
    assert runs[0][1][0].keys() >= {"train_loss", "train_loss_epoch", "val_loss", "shown"}
    assert runs[1] == runs[0]


def test_the_mean_over_an_epoch_counts_all_its_batches_though_one_was_evaluated_in_its_middle(make_trainer):
    """Its first validation comes after the first batch, where Lightning begins to add up."""
    inside = Condition.expr("history.checks % 5 < 3")
    histories = []
    for graph in (with_actions(), with_actions(test=(Evaluate(), inside))):
        seed_everything(3, verbose=False)
        burr = BurrCallback(machine=graph)
        trainer = make_trainer(burr, max_epochs=2, val_check_interval=1)
        trainer.fit(Measured(), datamodule=Data())
        histories.append(burr.history)
    assert burr.state["evaluated"] is not None
    assert list(histories[1]["train_loss_epoch"]) == list(histories[0]["train_loss_epoch"])
    assert histories[1] == histories[0]


def test_a_datamodule_that_makes_its_test_data_when_it_is_set_up_for_a_test_is(make_trainer):
    class Lazy(Data):
        def setup(self, stage):
            if stage == "test":
                self.tested = digits(700, 64)

        def test_dataloader(self):
            return DataLoader(self.tested, 32)

    graph = with_actions(test=(Evaluate(), (0,)))
    burr, _ = trained(make_trainer, graph, Measured(), {"datamodule": Lazy()}, epochs=1)
    assert burr.state["evaluated"]["metrics"]["test_loss"] > 0


class Adapter(Measured):
    """Has a backbone that is loaded elsewhere, and is in no checkpoint of its own."""

    def __init__(self):
        super().__init__()
        self.strict_loading = False
        self.network[0].requires_grad_(False)

    def state_dict(self, *args, **kwargs):
        own = super().state_dict(*args, **kwargs)
        return {name: value for name, value in own.items() if not name.startswith("network.0.")}

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", float(self.current_epoch))


def test_best_weights_are_loaded_as_loosely_as_the_module_asks_for(make_trainer):
    graph = with_actions(BestModel(load_weights=True), test=(Evaluate("best"), (2,)))
    net = Adapter()
    backbone = net.network[0].weight.clone()
    given = {"datamodule": Data()}
    burr, began = trained(make_trainer, graph, net, given, epochs=3, look=weights, monitor="val_loss")
    assert burr.state["best"]["epoch"] == 0
    assert torch.equal(weights(None, net), began[1])
    assert torch.equal(net.network[0].weight, backbone)
    [tested] = make_trainer().test(net, datamodule=Data(), verbose=False)
    assert burr.state["evaluated"]["metrics"]["test_loss"] == pytest.approx(tested["test_loss"], rel=1e-5)
