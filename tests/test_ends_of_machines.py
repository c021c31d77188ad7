"""How ready-made machines end: by their own conditions, Lightning's limits, and never before its least."""

import pytest
from burr.core import Condition, State
from burr.core.graph import GraphBuilder
from exact_parts import Net, data, scheduled, sgd
from test_machines import path_of
from torch.optim.lr_scheduler import LambdaLR

from burr_lightning import BurrCallback, Checkpoints, MetricHistory
from burr_lightning.actions import BestModel, TrainEpoch, Validate
from burr_lightning.conditions import diverged, max_epochs, max_time, plateau
from burr_lightning.machines import (
    VALIDATION_DUE,
    Stage,
    in_this_stage,
    rollback_on_divergence,
    staged_machine,
    warm_restarts,
)
from burr_lightning.testing import ScriptedModule, scripted_loader


def scripted(make_trainer, machine, losses, **options):
    burr = BurrCallback(machine=machine, monitor="val_loss", checkpoints=Checkpoints(keep_last=9))
    module = Scripted(losses)
    make_trainer(burr, **options).fit(module, scripted_loader(), scripted_loader())
    return burr


class Scripted(ScriptedModule):
    """Keeps its place in the script by the epoch, which no rollback takes back."""

    def __init__(self, losses):
        super().__init__(val_loss=losses)

    def on_validation_epoch_end(self):
        self.line.fill_(self.current_epoch)
        super().on_validation_epoch_end()


# Rollback on divergence


def test_a_run_that_may_go_back_stops_when_its_own_condition_says_so(make_trainer):
    machine = rollback_on_divergence(diverged("val_loss", 5.0), stop_when=plateau("val_loss", 2))
    burr = scripted(make_trainer, machine, [0.5, 9.0, 0.4, 0.6, 0.6, 0.6, 0.6], max_epochs=7)
    assert path_of(burr).startswith("process_data -> (train_epoch -> validate) x 2 -> rollback")
    assert burr.state["stop_reason"].startswith("plateau(val_loss")
    assert burr.state["epoch"] == 4


def test_a_run_goes_back_to_the_commit_that_it_was_told(make_trainer):
    machine = rollback_on_divergence(diverged("val_loss", 5.0), to=0)
    burr = scripted(make_trainer, machine, [0.5, 0.4, 9.0, 0.3], max_epochs=4)
    assert (burr.state["rollback"]["epoch"], burr.state["rollback"]["to"]) == (2, 0)


def test_a_run_that_goes_back_after_its_last_epoch_ends_there(make_trainer):
    machine = rollback_on_divergence(diverged("val_loss", 5.0))
    burr = scripted(make_trainer, machine, [0.5, 0.4, 9.0], max_epochs=3)
    assert path_of(burr).endswith("validate) x 3 -> rollback -> best_model")
    assert burr.state["stop_reason"] == "max_epochs=3 was reached"
    assert (burr.run.status, burr.state["best"]["epoch"]) == ("finished", 1)


def test_a_run_that_diverges_too_often_trains_for_its_least_epochs_all_the_same(make_trainer):
    machine = rollback_on_divergence(diverged("val_loss", 5.0), most=1)
    burr = scripted(make_trainer, machine, [0.5, 9.0, 9.0, 9.0, 9.0], max_epochs=9, min_epochs=4)
    assert (burr.state["epoch"], burr.state["rollback"]["count"]) == (3, 1)
    assert burr.state["stop_reason"].startswith("diverged(val_loss, 5)")


# Warm restarts


def restarted(make_trainer, **options):
    burr = BurrCallback(machine=warm_restarts(max_epochs(2), restarts=1))
    configure = scheduled(lambda o: LambdaLR(o, lambda epoch: 0.1**epoch), sgd)
    make_trainer(burr, **options).fit(Net(configure=configure), **data())
    return burr


def test_a_cycle_that_ends_with_the_training_is_followed_by_no_restart(make_trainer):
    burr = restarted(make_trainer, max_epochs=2)
    assert path_of(burr) == "process_data -> begin_cycle -> (train_epoch -> validate) x 2 -> best_model"
    assert (burr.state["restarts"], burr.state["stop_reason"]) == (None, "max_epochs=2 was reached")


def test_the_last_cycle_goes_on_until_the_least_epochs_are_over(make_trainer):
    burr = restarted(make_trainer, max_epochs=9, min_epochs=6)
    assert (burr.state["epoch"], burr.state["restarts"]) == (5, 1)
    assert "max_epochs(2) in this stage" in burr.state["stop_reason"]


# Stages


def test_the_last_stage_goes_on_until_the_least_epochs_are_over(make_trainer):
    machine = staged_machine([Stage("one", max_epochs(1)), Stage("two", max_epochs(1))])
    burr = scripted(make_trainer, machine, [0.5], max_epochs=9, min_epochs=5)
    assert burr.state["epoch"] == 4
    assert "max_epochs(1) in this stage" in burr.state["stop_reason"]


@pytest.mark.parametrize(("seconds", "is_over"), [(109.0, False), (111.0, True)])
def test_the_seconds_of_a_stage_count_from_its_beginning(seconds, is_over):
    stage = {"name": "b", "number": 2, "epoch": 1, "check": 0, "step": 4, "seconds": 100.0}
    facts = {"epoch": 3, "global_step": 16, "seconds": seconds, "stage": stage, "history": MetricHistory()}
    [found] = in_this_stage(max_time(10)).run(State(facts)).values()
    assert found == is_over


# Reasons


def test_a_limit_of_lightnings_is_the_reason_though_another_condition_led_to_the_end(make_trainer):
    machine = (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), validate=Validate(), best_model=BestModel())
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            ("validate", "best_model", Condition.expr("epoch >= 1")),
            (["train_epoch", "validate"], "train_epoch"),
        )
        .build()
    )
    reasons = [
        scripted(make_trainer, machine, [0.5], max_epochs=epochs).state["stop_reason"] for epochs in (2, 3)
    ]
    assert reasons == ["max_epochs=2 was reached", "epoch >= 1 is true"]
