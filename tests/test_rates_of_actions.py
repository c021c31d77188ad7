"""Learning rates that actions set, under schedules of every kind."""

import pytest
import torch
from exact_machines import with_actions
from exact_parts import Net, adam, scheduled, sgd
from test_actions import rates, trained
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    SequentialLR,
    StepLR,
)

from burr_lightning.actions import RestartSchedule, SetLearningRate


@pytest.mark.parametrize(
    "kind",
    [
        lambda o: SequentialLR(o, [LambdaLR(o, lambda e: 0.5), CosineAnnealingLR(o, 5)], milestones=[3]),
        lambda o: SequentialLR(o, [LinearLR(o, 0.1, total_iters=3), StepLR(o, 1, 0.5)], milestones=[3]),
        lambda o: ChainedScheduler([LambdaLR(o, lambda e: 0.9**e), ExponentialLR(o, 0.9)]),
    ],
)
def test_a_rate_that_was_scaled_before_its_schedule_goes_over_to_the_next_stays_scaled(make_trainer, kind):
    slower = with_actions(slower=(SetLearningRate(factor=0.1), (0,)))
    plain, scaled = (
        trained(make_trainer, graph, Net(configure=scheduled(kind)), look=rates, epochs=6)[1]
        for graph in (with_actions(), slower)
    )
    ratios = [b[0] / a[0] for a, b in zip(plain, scaled, strict=True)]
    assert ratios == pytest.approx([1, *[0.1] * 5], rel=2e-3)


def test_a_rate_of_zero_can_be_set_to_another_that_schedules_go_on_from(make_trainer):
    def from_zero(parameters):
        return torch.optim.SGD(parameters, lr=0.0)

    graph = with_actions(begin=(SetLearningRate(0.1), (1,)))
    configure = scheduled(lambda o: LambdaLR(o, lambda epoch: 0.5**epoch), from_zero)
    burr, seen = trained(make_trainer, graph, Net(configure=configure), look=rates, epochs=5)
    assert seen[:3] == [[0.0], [0.0], [0.1]]
    assert burr.state["learning_rates"] == [0.1]
    assert seen[3][0] > 0
    assert seen[4][0] == pytest.approx(seen[3][0] / 2)


def test_a_rate_of_zero_without_a_schedule_is_set_to_the_bit(make_trainer):
    graph = with_actions(stop=(SetLearningRate(0), (0,)), go=(SetLearningRate(0.007), (1,)))
    _, seen = trained(make_trainer, graph, Net(configure=sgd), look=rates)
    assert seen == [[0.1], [0.0], [0.007], [0.007]]


def test_a_schedule_that_begins_anew_leaves_what_else_was_changed_meanwhile(make_trainer):
    class Decays(Net):
        """Has more weight decay from its second epoch on."""

        def on_train_epoch_start(self):
            if self.current_epoch == 1:
                self.optimizers().param_groups[0]["weight_decay"] = 0.05

    def look(trainer, module):
        return rates(trainer, module), trainer.optimizers[0].param_groups[0]["weight_decay"]

    graph = with_actions(restart=(RestartSchedule(), (2,)))
    configure = scheduled(lambda o: LambdaLR(o, lambda epoch: 0.1**epoch), adam)
    _, seen = trained(make_trainer, graph, Decays(configure=configure), look=look, epochs=5)
    assert seen == [([0.01], 0), ([0.001], 0), ([0.0001], 0.05), ([0.01], 0.05), ([0.001], 0.05)]
