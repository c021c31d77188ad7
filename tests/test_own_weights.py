"""Which weights are an epoch's own, where actions change them after it."""

import pytest
import torch
from exact_machines import Data, with_actions
from exact_parts import Net, data, digits, sgd
from lightning.pytorch import Callback
from test_actions import weights
from test_rollback import ALL, IN_EPOCH_1, Told, fit
from torchdata.stateful_dataloader import StatefulDataLoader

from burr_lightning import Checkpoints
from burr_lightning.actions import BestModel, Call, Evaluate, Rollback
from burr_lightning.errors import NoCheckpointError


class Begins(Callback):
    """The weights when each epoch begins, after all actions."""

    def __init__(self):
        self.seen = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.seen.append(weights(trainer, pl_module))


def zero(pl_module):
    with torch.no_grad():
        for parameter in pl_module.parameters():
            parameter.zero_()


def stored(path):
    state = torch.load(path, weights_only=True)["state_dict"]
    return torch.cat([value.flatten().double() for value in state.values()])


def test_the_best_checkpoint_is_the_epochs_own_though_an_action_changed_the_weights_after_it(make_trainer):
    graph = with_actions(zero=(Call(zero), (1,)), back=(Rollback("best"), (2,)))
    begins = Begins()
    net = Told(0.5, 0.1, 0.4, 0.3, configure=sgd)
    burr, ends = fit(make_trainer, graph, net, begins, monitor="val_loss")
    assert not begins.seen[2].any()
    assert burr.state["best"]["epoch"] == 1
    assert torch.equal(stored(burr.run.best_checkpoint), ends[1])
    assert burr.run.best_checkpoint.as_posix().endswith(burr.state["best"]["checkpoint"])
    assert torch.equal(begins.seen[3], ends[1])


def test_an_evaluation_of_the_best_is_that_of_the_epochs_own_weights(make_trainer):
    graph = with_actions(zero=(Call(zero), (1,)), test=(Evaluate("best"), (2,)))
    net, given = Told(0.5, 0.1, 0.4), {"datamodule": Data()}
    burr, ends = fit(make_trainer, graph, net, epochs=3, monitor="val_loss", given=given)
    own = [parameter.numel() for parameter in net.parameters()]
    for parameter, values in zip(net.parameters(), ends[1].split(own), strict=True):
        parameter.data = values.float().view_as(parameter)
    [tested] = make_trainer().test(net, datamodule=Data(), verbose=False)
    assert burr.state["evaluated"]["metrics"]["test_loss"] == pytest.approx(tested["test_loss"], rel=1e-5)


def test_the_module_ends_with_the_best_epochs_own_weights(make_trainer):
    graph = with_actions(BestModel(load_weights=True), zero=(Call(zero), (1, 2)))
    net = Told(0.5, 0.1, 0.4)
    _, ends = fit(make_trainer, graph, net, epochs=3, monitor="val_loss")
    assert torch.equal(weights(None, net), ends[1])


def test_a_rollback_to_an_epoch_that_was_rolled_back_from_gives_its_own_weights(make_trainer):
    graph = with_actions(back=(Rollback(0), (2,)), forth=(Rollback(2), (3,)))
    begins = Begins()
    _, ends = fit(make_trainer, graph, Net(), begins, epochs=5, checkpoints=ALL)
    assert torch.equal(begins.seen[3], ends[0])
    assert torch.equal(begins.seen[4], ends[2])


def test_what_is_kept_of_each_of_the_best_epochs_is_its_own(make_trainer):
    graph = with_actions(zero=(Call(zero), (0, 1)))
    burr, ends = fit(
        make_trainer,
        graph,
        Told(0.2, 0.1, 0.5, 0.6),
        monitor="val_loss",
        checkpoints=Checkpoints(keep_last=1, keep_best=2),
    )
    folder = burr.run.best_checkpoint.parent
    for epoch in (0, 1):
        [kept] = folder.glob(f"epoch={epoch:05d}-*.ckpt")
        assert torch.equal(stored(kept), ends[epoch])


def test_the_best_epoch_can_be_gone_back_to_while_its_checkpoint_is_being_written(make_trainer):
    graph = with_actions(back=(Rollback("best"), (1,)), test=(Evaluate("best"), (2,)))
    keep = Checkpoints(asynchronous=True)
    net = Told(0.5, 0.4, 0.3)
    given = {"datamodule": Data()}
    burr, _ = fit(make_trainer, graph, net, epochs=3, monitor="val_loss", checkpoints=keep, given=given)
    assert burr.state["rollback"]["to"] == 1
    assert burr.state["evaluated"]["epoch"] == 2


def test_a_rollback_takes_no_weights_alone_where_a_whole_checkpoint_is_there(make_trainer):
    """Beside the best epoch's checkpoint lies one of its weights alone."""
    keep = Checkpoints(keep_last=3, save_weights_only_best=True)
    graph = with_actions(back=(Rollback("last"), (2,)), again=(Rollback(1), (3,)))
    net = Told(0.5, 0.1, 0.3, 0.2)
    burr, _ = fit(make_trainer, graph, net, monitor="val_loss", checkpoints=keep)
    assert burr.state["best"]["checkpoint"].endswith("-weights.ckpt")
    assert (burr.state["rollback"]["count"], burr.state["rollback"]["to"]) == (2, 1)


def test_a_commit_from_inside_an_epoch_is_none_of_that_epoch(make_trainer):
    graph = with_actions(back=(Rollback(1), IN_EPOCH_1))
    given = data(StatefulDataLoader(digits(), batch_size=32))
    keep, halves = Checkpoints(every_n_steps=1), {"val_check_interval": 0.5}
    with pytest.raises(NoCheckpointError, match="Kept are those of the epochs: 0"):
        fit(make_trainer, graph, Net(), trainer=halves, given=given, checkpoints=keep)
