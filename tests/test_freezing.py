"""What freezing and unfreezing do to parameters that are shared, grouped, or in no optimizer."""

import pytest
import torch
from burr.core import Condition
from exact_machines import with_actions
from exact_parts import Net, data, sgd
from lightning.pytorch import LightningModule
from test_actions import trained
from torch import nn

from burr_lightning import BurrCallback
from burr_lightning.actions import Freeze, Unfreeze
from burr_lightning.errors import ArgumentError

OPTIONS = ("lr", "weight_decay", "betas")


def groups(trainer, module):
    """The names in each group of each optimizer, and the options that count."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return [
        ([names[id(p)] for p in group["params"]], *(group[option] for option in OPTIONS if option in group))
        for optimizer in trainer.optimizers
        for group in optimizer.param_groups
    ]


def decayed(module):
    """AdamW as many have it: weights decay, biases do not, and each kind has its own betas."""
    named = dict(module.named_parameters())
    return torch.optim.AdamW(
        [
            {"params": [p for n, p in named.items() if n.endswith("weight")], "weight_decay": 0.1},
            {
                "params": [p for n, p in named.items() if n.endswith("bias")],
                "weight_decay": 0.0,
                "betas": (0.8, 0.99),
            },
        ],
        lr=0.01,
    )


class Decayed(Net):
    def configure_optimizers(self):
        return decayed(self)


def test_what_gets_a_rate_of_its_own_keeps_its_weight_decay_and_all_other_options(make_trainer):
    graph = with_actions(freeze=(Freeze("network.0"), (0,)), thaw=(Unfreeze("network.0", lr=0.002), (1,)))
    _, seen = trained(make_trainer, graph, Decayed(), look=groups, epochs=3)
    assert sorted(seen[2]) == [
        (["network.0.bias"], 0.002, 0.0, (0.8, 0.99)),
        (["network.0.weight"], 0.002, 0.1, (0.9, 0.999)),
        (["network.2.bias"], 0.01, 0.0, (0.8, 0.99)),
        (["network.2.weight"], 0.01, 0.1, (0.9, 0.999)),
    ]


def test_a_rate_for_all_of_a_group_leaves_no_empty_group_behind(make_trainer):
    graph = with_actions(all=(Unfreeze("*", lr=0.002), (0,)), weights=(Unfreeze("*.weight", lr=0.003), (1,)))
    _, seen = trained(make_trainer, graph, Decayed(), look=groups, epochs=3)
    weights, biases = ["network.0.weight", "network.2.weight"], ["network.0.bias", "network.2.bias"]
    assert seen[1] == [(weights, 0.002, 0.1, (0.9, 0.999)), (biases, 0.002, 0.0, (0.8, 0.99))]
    assert seen[2] == [(weights, 0.003, 0.1, (0.9, 0.999)), (biases, 0.002, 0.0, (0.8, 0.99))]


@pytest.mark.parametrize("lr", [None, 0.002])
def test_an_optimizer_that_was_given_names_keeps_them_right(make_trainer, lr):
    class Named(Net):
        def configure_optimizers(self):
            return torch.optim.AdamW(self.head(), lr=0.01)

        def head(self):
            return [(name, p) for name, p in self.named_parameters() if not name.startswith("network.0")]

    def look(trainer, module):
        named = dict(module.named_parameters())
        found = []
        for group in trainer.optimizers[0].param_groups:
            pairs = zip(group["param_names"], group["params"], strict=True)
            assert all(named[name] is parameter for name, parameter in pairs)
            found.append((group["param_names"], group["lr"]))
        return found

    graph = with_actions(
        thaw=(Unfreeze("network.0", lr=lr), (0,)), split=(Unfreeze("network.2.bias", lr=0.005), (1,))
    )
    _, seen = trained(make_trainer, graph, Named(), look=look, epochs=3)
    first, bias = ["network.0.weight", "network.0.bias"], (["network.2.bias"], 0.005)
    if lr is None:
        assert seen[2] == [(["network.2.weight", *first], 0.01), bias]
    else:
        assert seen[2] == [(["network.2.weight"], 0.01), (first, 0.002), bias]


def test_a_frozen_parameter_does_not_move_though_a_gradient_of_it_was_accumulated(make_trainer):
    """Two of four batches of one step are done when it is frozen."""
    net = Net(configure=sgd)
    then = net.network[0].weight.detach().clone()
    frozen_inside = (Freeze("network.0"), Condition.expr("epoch == -1"))
    burr = BurrCallback(machine=with_actions(freeze=frozen_inside))
    trainer = make_trainer(burr, max_epochs=1, val_check_interval=0.5, accumulate_grad_batches=4)
    trainer.fit(net, **data())
    assert (trainer.global_step, burr.state["frozen"]["frozen"]) == (1, 2)
    assert torch.equal(net.network[0].weight, then)


class Tied(LightningModule):
    """An encoder, and a decoder that shares its weight."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(64, 64), nn.Linear(64, 64)
        self.decoder.weight = self.encoder.weight

    def training_step(self, batch, batch_idx):
        return (self.decoder(torch.relu(self.encoder(batch[0]))) - batch[0]).pow(2).mean()

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


@pytest.mark.parametrize(
    ("pattern", "frozen"), [("decoder", {"weight", "bias"}), ("decoder.weight", {"weight"})]
)
def test_a_weight_that_two_parts_share_is_frozen_under_either_name(make_trainer, pattern, frozen):
    def look(trainer, module):
        return {name: value.detach().clone() for name, value in module.decoder.named_parameters()}

    graph = with_actions(freeze=(Freeze(pattern), (0,)), thaw=(Unfreeze(pattern), (1,)))
    _, seen = trained(make_trainer, graph, Tied(), look=look, epochs=4)
    for name in ("weight", "bias"):
        assert torch.equal(seen[1][name], seen[2][name]) == (name in frozen)
        assert not torch.equal(seen[2][name], seen[3][name])


def test_what_none_of_several_optimizers_has_is_refused_with_its_name(make_trainer):
    class Two(Net):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            for optimizer in self.optimizers():
                optimizer.zero_grad()
                self.manual_backward(self.loss(batch))
                optimizer.step()

        def configure_optimizers(self):
            self.network[0].bias.requires_grad_(False)
            parts = (self.network[0].weight,), self.network[2].parameters()
            return [torch.optim.SGD(part, lr=0.1) for part in parts]

    graph = with_actions(thaw=(Unfreeze("network.0"), (0,)))
    with pytest.raises(
        ArgumentError, match=r"Unfreeze\('network.0'\): no optimizer has network.0.bias, and there are 2"
    ):
        trained(make_trainer, graph, Two())
