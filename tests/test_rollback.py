"""What a rollback takes back: weights, optimizers, gradients, schedules, averages, and what is frozen."""

import pytest
import torch
from burr.core import Condition
from exact_machines import Measured, with_actions
from exact_parts import Net, data, scheduled, sgd
from exact_trainings import half_precision
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from lightning.pytorch.plugins import Precision
from test_actions import rates, trained, weights
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau, StepLR

from burr_lightning import BurrCallback, Checkpoints
from burr_lightning.actions import BestModel, Freeze, Rollback, Unfreeze
from burr_lightning.errors import NoCheckpointError, TrainerError

ALL = Checkpoints(keep_last=9)


class Told(Measured):
    """Logs the validation losses that it is told, one for each epoch."""

    def __init__(self, *losses, **options):
        super().__init__(**options)
        self.losses = losses

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.losses[self.current_epoch])


class Ends(Callback):
    """The weights at each epoch's end, before any action has run."""

    def __init__(self):
        self.seen = []

    def on_train_epoch_end(self, trainer, pl_module):
        self.seen.append(weights(trainer, pl_module))


def fit(make_trainer, graph, net, *callbacks, epochs=4, trainer=None, given=None, **options):
    """Train, and give the weights at each epoch's end beside the callback."""
    ends = Ends()
    burr = BurrCallback(machine=graph, **options)
    fitted = make_trainer(ends, *callbacks, burr, max_epochs=epochs, **(trainer or {}))
    fitted.fit(net, **(given or data()))
    return burr, ends.seen


# What is taken back


def test_a_rollback_takes_back_what_is_frozen_and_the_groups_of_the_optimizer(make_trainer):
    def look(trainer, module):
        trains = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        return trains, module.network[1].training, rates(trainer, module)

    graph = with_actions(
        freeze=(Freeze("network.0", "network.1"), (0,)),
        thaw=(Unfreeze("network.0", "network.1", lr=0.003), (1,)),
        back=(Rollback(1), (2,)),
        far_back=(Rollback(0), (3,)),
    )
    net = Net(nn.BatchNorm1d(16), configure=scheduled(lambda o: StepLR(o, 1, 0.5), sgd))
    _, seen = trained(make_trainer, graph, net, look=look, epochs=5, checkpoints=ALL)
    head = ["network.3.weight", "network.3.bias"]
    everything = [name for name, _ in net.named_parameters()]
    assert seen[1] == (head, False, [0.05])
    assert seen[2] == (everything, True, [0.025, 0.003])
    # Rates go back with the weights: those of the end of epoch 1, and of epoch 0.
    assert seen[3] == (head, False, [0.025])
    assert seen[4] == (everything, True, [0.05])


class Middle(Net):
    """Keeps what it was in the middle of each epoch, once the actions there have run."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_start(self, batch, batch_idx):
        if batch_idx == 2:
            self.seen.append((weights(None, self), [p.grad is not None for p in self.parameters()]))


IN_EPOCH_1 = Condition.expr("epoch == 0 and history.checks == 3")


def test_after_a_rollback_no_gradient_of_the_lost_training_is_used(make_trainer):
    """Gradients are accumulated over four batches, and the run goes back after two of them."""
    halves = {"val_check_interval": 0.5, "accumulate_grad_batches": 4}
    net = Middle()
    burr, _ = fit(make_trainer, with_actions(back=(Rollback(0), IN_EPOCH_1)), net, epochs=2, trainer=halves)
    assert burr.state["rollback"]["count"] == 1
    assert [gradients for _, gradients in net.seen] == [[True] * 4, [False] * 4]


def test_a_rollback_takes_the_state_of_the_precision_plugin_back(make_trainer):
    class Scale(Precision):
        def __init__(self):
            self.scale = 1

        def state_dict(self):
            return {"scale": self.scale}

        def load_state_dict(self, state_dict):
            self.scale = state_dict["scale"]

    class Doubled(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            seen.append(trainer.precision_plugin.scale)
            trainer.precision_plugin.scale *= 2

    seen = []
    graph = with_actions(back=(Rollback(0), (2,)))
    fit(make_trainer, graph, Net(), Doubled(), trainer={"plugins": [Scale()]}, checkpoints=ALL)
    assert seen == [1, 2, 4, 2]


def test_a_rollback_takes_the_scale_of_gradients_back(make_trainer):
    class Scales(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            began.append(trainer.precision_plugin.state_dict())

        def on_train_epoch_end(self, trainer, pl_module):
            ended.append(trainer.precision_plugin.state_dict())

    began, ended = [], []
    graph = with_actions(back=(Rollback(0), (2,)))
    fit(make_trainer, graph, Net(), Scales(), trainer=half_precision(), checkpoints=ALL)
    assert began[:3] == [began[0], *ended[:2]]
    assert began[3] == ended[0]
    assert (ended[2]["scale"], ended[2]["_growth_tracker"]) != (
        ended[0]["scale"],
        ended[0]["_growth_tracker"],
    )


def test_a_plateau_schedule_goes_on_from_the_commit_and_is_not_told_of_the_lost_epoch(make_trainer):
    """The epoch that is gone back to is known to it, and the one that diverged is not."""
    graph = with_actions(back=(Rollback(0, lr_factor=0.5), (1,)))
    configure = scheduled(lambda o: ReduceLROnPlateau(o, patience=0, factor=0.1), sgd, monitor="val_loss")
    burr, seen = trained(
        make_trainer, graph, Told(0.5, 9.0, 0.6, 0.4, configure=configure), look=rates, checkpoints=ALL
    )
    assert burr.state["rollback"]["lr"] == [0.05]
    assert seen == [[0.1], [0.1], [0.05], [0.005]]


def test_a_rollback_in_the_middle_of_an_epoch_goes_back_to_the_end_of_the_one_before(make_trainer):
    net, halves = Middle(), {"val_check_interval": 0.5}
    graph = with_actions(back=(Rollback("last"), IN_EPOCH_1))
    burr, ends = fit(make_trainer, graph, net, epochs=3, trainer=halves)
    assert (burr.state["rollback"]["count"], burr.state["rollback"]["to"]) == (1, 0)
    assert torch.equal(net.seen[1][0], ends[0])
    assert not torch.equal(net.seen[2][0], ends[1])


# Averaged weights


@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_rollback_takes_the_weights_back_and_their_average_too(make_trainer, accumulate):
    class Diverges(Net):
        def loss(self, batch):
            return super().loss(batch) * (float("nan") if self.current_epoch == 2 else 1.0)

    class Averages(Callback):
        """The average at each epoch's end and at the next one's beginning."""

        def __init__(self):
            self.ended, self.began, self.after_first_batch = [], [], []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx == 0:
                self.after_first_batch.append(weights(trainer, average._average_model.module))

        def on_train_epoch_end(self, trainer, pl_module):
            self.ended.append(weights(trainer, average._average_model.module))

        def on_train_epoch_start(self, trainer, pl_module):
            self.began.append((weights(trainer, pl_module), weights(trainer, average._average_model.module)))

    average, averages = EMAWeightAveraging(decay=0.5), Averages()
    graph = with_actions(back=(Rollback(1), (2,)))
    accumulated = {"accumulate_grad_batches": accumulate}
    _, ends = fit(make_trainer, graph, Diverges(), average, averages, checkpoints=ALL, trainer=accumulated)
    assert ends[2].isnan().any()
    own, averaged = averages.began[3]
    assert torch.equal(own, ends[1])
    assert torch.equal(averaged, averages.ended[1])
    assert not torch.equal(own, averaged)
    assert averages.ended[3].isfinite().all()
    took_a_step = accumulate == 1
    assert torch.equal(averages.after_first_batch[3], averaged) is not took_a_step


def test_a_rollback_says_that_weight_averaging_which_has_begun_cannot_be_taken_back(make_trainer):
    averaging = StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=2)
    graph = with_actions(back=(Rollback(0), (2,)))
    with pytest.raises(
        TrainerError, match=r"Rollback\(to=0\): StochasticWeightAveraging has begun, in epoch 1"
    ):
        fit(make_trainer, graph, Net(), averaging, checkpoints=ALL)


# A run that leaves nothing on disk


def test_a_machine_that_loads_the_best_weights_passes_a_fast_run(make_trainer):
    graph = with_actions(BestModel(load_weights=True, export="best.pt"))
    fit(make_trainer, graph, Net(), trainer={"fast_dev_run": True}, monitor="val_loss")


def test_a_rollback_in_a_fast_run_says_how_to_try_it_instead(make_trainer):
    graph = with_actions(back=(Rollback("last"), (0,)))
    with pytest.raises(NoCheckpointError, match=r"fast_dev_run=True\).*limit_train_batches=2"):
        fit(make_trainer, graph, Net(), trainer={"fast_dev_run": True})
