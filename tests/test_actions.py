"""What each ready-made action does to a training."""

from math import ceil

import pytest
import torch
from burr.core import Condition
from burr.core.graph import GraphBuilder
from exact_machines import Data, Measured, with_actions
from exact_parts import Net, Y, data, scheduled, sgd
from lightning.pytorch import Callback, seed_everything
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR

from burr_lightning import BurrCallback, Checkpoints
from burr_lightning.actions import (
    BestModel,
    Call,
    Evaluate,
    Freeze,
    RestartSchedule,
    Rollback,
    SetLearningRate,
    SwapData,
    TrainEpoch,
    Unfreeze,
    Validate,
)
from burr_lightning.errors import ArgumentError, MachineError, NoCheckpointError, TrainerError
from burr_lightning.machines import FINISHED, VALIDATION_DUE
from burr_lightning.testing import ScriptedModule, scripted_loader


class Epochs(Callback):
    """What there was when each epoch began."""

    def __init__(self, look):
        self._look, self.seen = look, []

    def on_train_epoch_start(self, trainer, pl_module):
        self.seen.append(self._look(trainer, pl_module))


def trained(make_trainer, graph, module, given=None, epochs=4, look=None, **options):
    seed_everything(3, verbose=False)
    burr = BurrCallback(machine=graph, **options)
    watch = Epochs(look or (lambda trainer, module: None))
    make_trainer(burr, watch, max_epochs=epochs).fit(module, **(given or data(shuffle=True)))
    return burr, watch.seen


def rates(trainer, module):
    return [round(float(group["lr"]), 6) for group in trainer.optimizers[0].param_groups]


def weights(trainer, module):
    return torch.cat([value.flatten().double() for value in module.state_dict().values()])


# Rollback


def test_a_rollback_takes_weights_and_optimizer_back_and_goes_on_with_other_data(make_trainer):
    def look(trainer, module):
        state = trainer.optimizers[0].state_dict()["state"]
        steps = float(state[0]["step"]) if state else 0.0
        return weights(trainer, module), steps, torch.get_rng_state()

    graph = with_actions(back=(Rollback(0, lr_factor=0.5), (1, 2)))
    burr, seen = trained(make_trainer, graph, Net(), look=look, checkpoints=Checkpoints(keep_last=4))
    (_, _, _), (first, steps, random), (second, again, other), (third, _, _) = seen
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert (steps, again) == (4, 4)
    assert not torch.equal(random, other)
    rollback = burr.state["rollback"]
    assert (rollback["count"], rollback["epoch"], rollback["to"], rollback["times"]) == (2, 2, 0, 2)
    assert rollback["lr"] == [pytest.approx(0.01 * 0.25)]
    assert len(burr.history) == 4


def test_what_followed_a_commit_is_trained_again_where_the_random_numbers_go_back_too(make_trainer):
    graph = with_actions(back=(Rollback("last", skip_data=False), (2,)))
    net = Net(nn.Dropout(0.5))
    burr, _ = trained(make_trainer, graph, net)
    losses = list(burr.history["train_loss_epoch"])
    assert losses[2] == losses[3]
    assert losses[1] != losses[2]


def test_a_commit_after_a_rollback_is_not_taken_for_the_best_epochs_own(make_trainer):
    graph = with_actions(back=(Rollback(0), (2,)))
    module = ScriptedModule(val_loss=[0.5, 0.4, 0.1, 0.3])
    burr = BurrCallback(machine=graph, monitor="val_loss", checkpoints=Checkpoints(keep_last=4))
    kept = []

    class Look(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            kept.append(weights(trainer, pl_module))

    make_trainer(burr, Look(), max_epochs=4).fit(module, scripted_loader(), scripted_loader())
    best = burr.state["best"]
    assert best["epoch"] == 2
    stored = torch.load(burr.run.best_checkpoint, weights_only=True)["state_dict"]
    assert torch.equal(torch.cat([v.flatten().double() for v in stored.values()])[:-1], kept[2][:-1])


def test_a_rollback_to_the_best_needs_a_monitored_metric_and_its_whole_checkpoint(make_trainer):
    graph = with_actions(back=(Rollback("best"), (1,)))
    with pytest.raises(MachineError, match=r"Rollback\(to='best'.*give BurrCallback\(monitor="):
        trained(make_trainer, graph, Net())
    only_weights = Checkpoints(save_weights_only_best=True)
    with pytest.raises(NoCheckpointError, match="weights alone"):
        trained(make_trainer, graph, Net(), monitor="val_loss", checkpoints=only_weights)


# Learning rates


@pytest.mark.parametrize(
    "kind",
    [
        lambda o: CosineAnnealingLR(o, 5),
        lambda o: LambdaLR(o, lambda epoch: 0.9**epoch),
        lambda o: OneCycleLR(o, 0.5, total_steps=40),
        lambda o: torch.optim.lr_scheduler.SequentialLR(
            o, [LambdaLR(o, lambda e: 0.5), CosineAnnealingLR(o, 5)], milestones=[1]
        ),
    ],
)
def test_a_scaled_learning_rate_stays_scaled_under_its_schedule(make_trainer, kind):
    plain = [
        trained(make_trainer, with_actions(), Net(configure=scheduled(kind)), look=rates)[1],
        trained(
            make_trainer,
            with_actions(slower=(SetLearningRate(factor=0.1), (1,))),
            Net(configure=scheduled(kind)),
            look=rates,
        )[1],
    ]
    ratios = [b[0] / a[0] for a, b in zip(*plain, strict=True)]
    assert ratios == pytest.approx([1, 1, 0.1, 0.1], rel=1e-3)


def test_a_learning_rate_is_set_to_the_bit_and_told(make_trainer):
    graph = with_actions(set=(SetLearningRate(0.007), (1,)))
    burr, seen = trained(make_trainer, graph, Net(configure=sgd), look=rates)
    assert seen == [[0.1], [0.1], [0.007], [0.007]]
    assert burr.state["learning_rates"] == [0.007]


def test_a_schedule_begins_anew(make_trainer):
    graph = with_actions(restart=(RestartSchedule(lr_factor=0.5), (1,)))
    configure = scheduled(lambda o: LambdaLR(o, lambda epoch: 0.1**epoch))
    _, seen = trained(make_trainer, graph, Net(configure=configure), look=rates)
    assert seen == [[0.1], [0.01], [0.05], [0.005]]


# Freezing


def trains(trainer, module):
    return sorted(name for name, parameter in module.named_parameters() if parameter.requires_grad)


def test_frozen_parameters_and_statistics_stay_as_they_are_to_the_bit(make_trainer):
    def look(trainer, module):
        return {name: value.clone() for name, value in module.state_dict().items()}

    graph = with_actions(freeze=(Freeze("network.0", "network.1"), (0,)), thaw=(Unfreeze("network.*"), (2,)))
    # Momentum and weight decay would move what merely has no gradient.
    net = Net(
        nn.BatchNorm1d(16),
        configure=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    )
    burr, seen = trained(make_trainer, graph, net, look=look, epochs=5)
    for name in seen[0]:
        frozen = name.startswith(("network.0.", "network.1."))
        assert torch.equal(seen[1][name], seen[2][name]) == frozen, name
        assert torch.equal(seen[2][name], seen[3][name]) == frozen, name
        assert not torch.equal(seen[3][name], seen[4][name]), name
    assert burr.state["frozen"] == {"frozen": 0, "of": 6}
    assert net.network[1].training


def test_a_learning_rate_of_their_own_makes_a_group_that_schedules_go_on_with(make_trainer):
    graph = with_actions(freeze=(Freeze("network.0"), (0,)), thaw=(Unfreeze("network.0", lr=0.001), (1,)))
    configure = scheduled(lambda o: LambdaLR(o, lambda epoch: 0.5**epoch))
    _, seen = trained(make_trainer, graph, Net(configure=configure), look=rates)
    assert seen[:2] == [[0.1], [0.05]]
    assert seen[2] == [0.025, 0.001]
    assert seen[3] == [0.0125, 0.0005]


def test_parameters_that_no_optimizer_has_are_given_to_it(make_trainer):
    class OnlyHead(Net):
        def configure_optimizers(self):
            self.network[0].requires_grad_(False)
            return torch.optim.Adam(self.network[2].parameters(), lr=0.01)

    def look(trainer, module):
        groups = trainer.optimizers[0].param_groups
        return [len(group["params"]) for group in groups], module.network[0].weight.detach().clone()

    graph = with_actions(thaw=(Unfreeze("network.0", lr=0.001), (1,)))
    _, seen = trained(make_trainer, graph, OnlyHead(), look=look)
    assert [sizes for sizes, _ in seen] == [[2], [2], [2, 2], [2, 2]]
    assert torch.equal(seen[1][1], seen[2][1])
    assert not torch.equal(seen[2][1], seen[3][1])


def test_a_pattern_that_matches_nothing_is_refused_with_what_there_is(make_trainer):
    with pytest.raises(ArgumentError, match=r"'backbone\.\*'.*network\.0\.weight"):
        trained(make_trainer, with_actions(freeze=(Freeze("backbone.*"), (0,))), Net())


# Data


def test_settings_of_the_datamodule_count_from_the_next_epoch_on(make_trainer):
    def look(trainer, module):
        return trainer.num_training_batches, trainer.num_val_batches

    graph = with_actions(swap=(SwapData(batch_size=16), (1,)))
    burr, seen = trained(make_trainer, graph, Net(), {"datamodule": Data()}, look=look)
    (old, _), (same, _), (new, validation), _ = seen
    samples = int((Y[:256] <= 5).sum())
    assert (old, same, new) == (ceil(samples / 32), ceil(samples / 32), ceil(samples / 16))
    assert validation == [4]
    assert burr.state["data_settings"]["settings"] == {"batch_size": 16}
    assert burr.state["data"]["train"][0]["batches"] == new


def test_a_setting_that_nobody_has_is_refused(make_trainer):
    graph = with_actions(swap=(SwapData(size=16), (1,)))
    with pytest.raises(ArgumentError, match=r"SwapData\(size=16\): Data has no attribute.*batch_size"):
        trained(make_trainer, graph, Net(), {"datamodule": Data()})


def test_the_next_fit_takes_its_own_data(make_trainer):
    from exact_parts import digits, loader

    graph = with_actions(swap=(SwapData(lambda: loader(digits(0, 32))), (0,)))
    trainer = make_trainer(BurrCallback(machine=graph), max_epochs=2)
    trainer.fit(Net(), **data())
    assert trainer.num_training_batches == 1
    trainer = make_trainer(max_epochs=1, enable_checkpointing=False)
    trainer.fit(Net(), **data())
    assert trainer.num_training_batches == 4


# Evaluation


def test_an_evaluation_changes_nothing_of_the_training(make_trainer):
    runs = []
    for test in (False, True):
        graph = with_actions(**({"test": (Evaluate("best"), (0, 1, 2))} if test else {}))
        seed_everything(5, verbose=False)
        net = Measured(nn.Dropout(0.5))
        burr, seen = trained(
            make_trainer, graph, net, {"datamodule": Data()}, look=weights, monitor="val_loss"
        )
        runs.append((seen, net.state_dict(), burr))
    for one, other in zip(runs[0][0], runs[1][0], strict=True):
        assert torch.equal(one, other)
    burr = runs[1][2]
    assert burr.state["evaluated"]["epoch"] == 2
    assert burr.state["evaluated"]["metrics"]["test_loss"] > 0
    assert burr.history.names == runs[0][2].history.names


def test_an_evaluation_of_the_best_weights_is_that_of_the_best_epoch(make_trainer):
    graph = with_actions(now=(Evaluate(), (0,)), best=(Evaluate("best"), (2,)))
    found = []
    keep = Call(lambda state: found.append(state["evaluated"]["metrics"]["test_loss"]), reads=["evaluated"])
    phases = ["train_epoch", "validate"]
    graph = (
        GraphBuilder()
        .with_actions(
            train_epoch=TrainEpoch(),
            validate=Validate(),
            now=Evaluate(),
            best=Evaluate("best"),
            keep=keep,
            best_model=BestModel(),
        )
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            (phases, "now", Condition.expr("epoch == 0")),
            (phases, "best"),
            (["now", "best"], "keep"),
            ("keep", "best_model", FINISHED),
            ("keep", "train_epoch"),
        )
        .build()
    )

    class Worse(Measured):
        def validation_step(self, batch, batch_idx):
            self.log("val_loss", float(self.current_epoch))

    trained(make_trainer, graph, Worse(), {"datamodule": Data()}, epochs=3, monitor="val_loss")
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0] == pytest.approx(found[2], rel=1e-6)


def test_an_evaluation_without_a_test_step_or_data_is_refused(make_trainer):
    graph = with_actions(test=(Evaluate(), (0,)))
    with pytest.raises(TrainerError, match="Net has no test_step"):
        trained(make_trainer, graph, Net(), {"datamodule": Data()})
    with pytest.raises(TrainerError, match="no test data"):
        trained(make_trainer, graph, Measured())


# The best model


def test_the_module_has_the_best_weights_after_fit_and_after_a_finished_run_is_opened_again(make_trainer):
    graph = (
        GraphBuilder()
        .with_actions(
            train_epoch=TrainEpoch(),
            validate=Validate(),
            best_model=BestModel(load_weights=True, export="exports/best.pt"),
        )
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            ("validate", "best_model", FINISHED),
            ("validate", "train_epoch"),
        )
        .build()
    )
    for _ in range(2):
        burr = BurrCallback("best", machine=graph, monitor="val_loss")
        module = ScriptedModule(val_loss=[0.5, 0.1, 0.4])
        make_trainer(burr, max_epochs=3).fit(module, scripted_loader(), scripted_loader())
        stored = torch.load(burr.run.best_checkpoint, weights_only=True)
        assert (stored["epoch"], burr.state["best"]["epoch"]) == (1, 1)
        assert torch.equal(module.layer.weight, stored["state_dict"]["layer.weight"])
        exported = burr.run.best_checkpoint.parent.parent / "exports" / "best.pt"
        assert torch.equal(torch.load(exported)["layer.weight"], module.layer.weight)
        exported.unlink()
    burr = BurrCallback("best", machine=graph, monitor="val_loss")
    longer = ScriptedModule(val_loss=[0.5, 0.1, 0.4, 0.05])
    make_trainer(burr, max_epochs=4).fit(longer, scripted_loader(), scripted_loader())
    straight = BurrCallback("straight", machine=graph, monitor="val_loss")
    whole = ScriptedModule(val_loss=[0.5, 0.1, 0.4, 0.05])
    make_trainer(straight, max_epochs=4).fit(whole, scripted_loader(), scripted_loader())
    assert burr.state["best"]["epoch"] == straight.state["best"]["epoch"] == 3


# Arguments


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rollback("worst"),
        lambda: Rollback(-1),
        lambda: Rollback(True),
        lambda: Rollback(lr_factor=0),
        lambda: SetLearningRate(),
        lambda: SetLearningRate(0.1, factor=2),
        lambda: SetLearningRate(-1),
        lambda: SetLearningRate(factor=float("nan")),
        lambda: RestartSchedule(lr_factor=0),
        lambda: Freeze(),
        lambda: Unfreeze(""),
        lambda: Unfreeze("*", lr=0),
        lambda: SwapData(),
        lambda: SwapData(scripted_loader()),
        lambda: SwapData(transform=object()),
        lambda: Evaluate("worst"),
        lambda: Call("print"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(make):
    with pytest.raises(ArgumentError, match=r"\("):
        make()


def test_a_function_that_returns_something_else_is_refused(make_trainer):
    graph = with_actions(call=(Call(lambda: 3, writes=["three"]), (0,)))
    with pytest.raises(ArgumentError, match=r"returned 3, and must return a dictionary with three"):
        trained(make_trainer, graph, Net())


def test_a_group_that_is_not_there_is_refused(make_trainer):
    graph = with_actions(set=(SetLearningRate(0.1, groups=[1]), (0,)))
    with pytest.raises(ArgumentError, match="there are 1 parameter groups"):
        trained(make_trainer, graph, Net())
