"""Ready-made machines, trained to their end on real data."""

import json
import warnings

import pytest
import torch
import yaml
from digits import DigitNet, digit_loaders
from exact_machines import Data
from exact_parts import Net, data, scheduled, sgd
from lightning.pytorch import Callback, seed_everything
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import BestModel
from burr_lightning.conditions import diverged, max_epochs, max_steps, max_time, not_finite, plateau
from burr_lightning.errors import ArgumentError, MachineError
from burr_lightning.machines import (
    Lesson,
    Stage,
    Unfrozen,
    curriculum,
    default_machine,
    rollback_on_divergence,
    staged_finetuning,
    staged_machine,
    warm_restarts,
)
from burr_lightning.testing import ScriptedModule, scripted_loader


def path_of(burr):
    return str(Run.open(burr.app.uid).path)


class Weights(Callback):
    def __init__(self):
        self.at, self.trained = [], []

    def on_train_epoch_start(self, trainer, pl_module):
        self.at.append({n: p.detach().clone() for n, p in pl_module.named_parameters()})
        self.trained.append({n for n, p in pl_module.named_parameters() if p.requires_grad})


def test_a_run_whose_learning_rate_blows_up_recovers_and_is_as_good_as_the_healthy_one(make_trainer):
    class Overheated(DigitNet):
        def on_train_epoch_start(self):
            if self.current_epoch == 4:
                self.optimizers().param_groups[0]["lr"] = 1e3

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.2, momentum=0.9)

    class Healthy(Overheated):
        def on_train_epoch_start(self):
            pass

    wrong = not_finite("train_loss_epoch") | diverged("train_loss_epoch", 5.0)
    ends = {}
    for kind, machine in [
        (Healthy, default_machine()),
        (Overheated, rollback_on_divergence(wrong, lr_factor=0.5)),
        (Overheated, default_machine()),
    ]:
        seed_everything(1, verbose=False)
        burr = BurrCallback(machine=machine, monitor="val_loss")
        make_trainer(burr, max_epochs=14).fit(kind(), *digit_loaders())
        ends[kind, len(machine.actions)] = burr
    healthy, recovered = ends[Healthy, 4], ends[Overheated, 5]
    lost = ends[Overheated, 4]
    accuracy = {
        name: burr.history["val_acc"][-1] for name, burr in [("h", healthy), ("r", recovered), ("l", lost)]
    }
    assert accuracy["h"] > 0.85
    assert accuracy["r"] > accuracy["h"] - 0.02
    assert accuracy["l"] < 0.5
    assert recovered.state["rollback"]["epoch"] == 4
    assert "rollback" in path_of(recovered)


def test_a_run_that_diverges_again_and_again_is_ended_and_says_why(make_trainer):
    module = ScriptedModule(val_loss=[0.5, 40.0])
    burr = BurrCallback(
        machine=rollback_on_divergence(diverged("val_loss", 10.0), most=2), monitor="val_loss"
    )
    make_trainer(burr, max_epochs=20).fit(module, scripted_loader(), scripted_loader())
    assert burr.state["rollback"]["count"] == 2
    assert burr.state["stop_reason"].startswith("diverged(val_loss, 10): 40 > 10 (epoch 3)")
    assert path_of(burr).endswith("(rollback -> train_epoch -> validate) x 2 -> best_model")


def test_stages_end_by_conditions_that_count_from_their_own_beginning(make_trainer):
    stages = [
        Stage("one", plateau("val_loss", 2)),
        Stage("two", max_epochs(3)),
        Stage("three", max_steps(8) & max_time(1e-9)),
    ]
    losses = [0.5, 0.4, 0.6, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9]
    burr = BurrCallback(machine=staged_machine(stages))
    make_trainer(burr, max_epochs=30).fit(
        ScriptedModule(val_loss=losses), scripted_loader(), scripted_loader()
    )
    assert path_of(burr) == (
        "process_data -> begin_one -> (train_one -> validate_one) x 4 -> begin_two "
        "-> (train_two -> validate_two) x 3 -> begin_three "
        "-> (train_three -> validate_three) x 2 -> best_model"
    )
    assert burr.state["stage"] | {"seconds": 0} == {
        "name": "three",
        "number": 3,
        "epoch": 7,
        "check": 7,
        "step": 28,
        "seconds": 0,
    }
    assert burr.state["stop_reason"].startswith(
        "max_steps(8) in this stage: 8 steps were taken; max_time(1e-09) in this stage: "
    )


def test_staged_finetuning_trains_what_the_finetuning_scheduler_trains_to_the_same_weights(
    make_trainer, tmp_path
):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fts = pytest.importorskip("finetuning_scheduler")
    blocks = [["network.3.weight", "network.3.bias"], ["network.1.weight", "network.1.bias"]]
    blocks.append(["network.0.weight", "network.0.bias"])
    schedule = {
        number: {"params": names, "max_transition_epoch": limit} | ({"lr": 0.01} if number else {})
        for number, (names, limit) in enumerate(zip(blocks, [2, 4, 100], strict=True))
    }
    (tmp_path / "schedule.yaml").write_text(yaml.safe_dump(schedule))

    class Filtered(Net):
        def configure_optimizers(self):
            return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.1, momentum=0.9)

    seed_everything(1, verbose=False)
    theirs = Weights()
    scheduler = fts.FinetuningScheduler(
        ft_schedule=str(tmp_path / "schedule.yaml"), epoch_transitions_only=True, restore_best=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_trainer(scheduler, theirs, max_epochs=7).fit(Filtered(nn.LayerNorm(16)), **data(shuffle=True))

    seed_everything(1, verbose=False)
    ours = Weights()
    machine = staged_finetuning(
        [
            Unfrozen("head", ["network.3"], max_epochs(2)),
            Unfrozen("norm", ["network.1"], max_epochs(2), lr=0.01),
            Unfrozen("all", ["*.0"], None, lr=0.01),
        ]
    )
    burr = BurrCallback(machine=machine)
    make_trainer(burr, ours, max_epochs=7).fit(Net(nn.LayerNorm(16), configure=sgd), **data(shuffle=True))
    assert ours.trained == theirs.trained[:7]
    assert [len(names) for names in ours.trained] == [2, 2, 4, 4, 6, 6, 6]
    for epoch in range(7):
        for name, weight in ours.at[epoch].items():
            assert torch.allclose(weight, theirs.at[epoch][name], atol=1e-6), (epoch, name)


def test_warm_restarts_begin_the_schedule_anew_when_a_cycle_has_done_its_work(make_trainer):
    class Rates(Callback):
        def __init__(self):
            self.seen = []

        def on_train_epoch_start(self, trainer, pl_module):
            self.seen.append(round(trainer.optimizers[0].param_groups[0]["lr"], 8))

    rates = Rates()
    configure = scheduled(lambda o: LambdaLR(o, lambda epoch: 0.1**epoch))
    burr = BurrCallback(machine=warm_restarts(max_epochs(2), restarts=2, lr_factor=0.5))
    make_trainer(burr, rates, max_epochs=20).fit(Net(configure=configure), **data())
    assert rates.seen == [0.1, 0.01, 0.05, 0.005, 0.025, 0.0025]
    assert path_of(burr) == (
        "process_data -> (begin_cycle -> (train_epoch -> validate) x 2 -> restart) x 2 -> begin_cycle "
        "-> (train_epoch -> validate) x 2 -> best_model"
    )
    assert "max_epochs(2) in this stage: 2 epochs are over" in burr.state["stop_reason"]


def test_a_curriculum_trains_on_harder_data_in_each_lesson(make_trainer):
    class Labels(Net):
        def __init__(self):
            super().__init__()
            self.seen = {}

        def training_step(self, batch, batch_idx):
            self.seen.setdefault(self.current_epoch, set()).update(batch[1].tolist())
            return super().training_step(batch, batch_idx)

    lessons = [
        Lesson("easy", max_epochs(2), {"hardest": 2}),
        Lesson("harder", max_epochs(1), {"hardest": 6}),
        Lesson("all", None, {"hardest": 9}),
    ]
    net = Labels()
    best = BestModel(load_weights=True)
    burr = BurrCallback(machine=curriculum(lessons, best), monitor="val_loss")
    make_trainer(burr, max_epochs=5).fit(net, datamodule=Data())
    assert [max(labels) for _, labels in sorted(net.seen.items())] == [2, 2, 6, 9, 9]
    assert json.loads(json.dumps(burr.state["data_settings"]["settings"])) == {"hardest": 9}


def test_machines_that_make_no_sense_are_refused():
    with pytest.raises(MachineError, match="one stage or more"):
        staged_machine([])
    with pytest.raises(MachineError, match="two actions are called begin_a, train_a, validate_a"):
        staged_machine([Stage("a", max_epochs(1)), Stage("a", None)])
    with pytest.raises(MachineError, match="the stage 'a' has until=None"):
        staged_machine([Stage("a", None), Stage("b", None)])
    with pytest.raises(ArgumentError, match="most=0"):
        rollback_on_divergence(not_finite("loss"), most=0)
    with pytest.raises(ArgumentError, match="restarts=0"):
        warm_restarts(max_epochs(1), restarts=0)
