"""Validations that the machine asks for where Lightning makes none, inside an epoch and after one."""

import pytest
import torch
from burr.core import Condition
from burr.core.graph import GraphBuilder
from exact_parts import Net, data, loader
from lightning.pytorch import seed_everything
from test_machines import path_of

from burr_lightning import BurrCallback
from burr_lightning.actions import BestModel, Call, TrainEpoch, Validate
from burr_lightning.conditions import reached
from burr_lightning.machines import CAN_STOP, FINISHED, VALIDATION_DUE, default_machine
from burr_lightning.testing import ScriptedModule, scripted_loader


def validated_twice():
    """After a validation inside of an epoch comes another one, which Lightning knows nothing of."""
    return (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), validate=Validate(), again=Validate(), best_model=BestModel())
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            ("validate", "again", Condition.expr("global_step == 0 or global_step % 4 == 1")),
            (["train_epoch", "validate", "again"], "best_model", FINISHED),
            (["train_epoch", "validate", "again"], "train_epoch"),
        )
        .build()
    )


@pytest.mark.parametrize(("accumulated", "interval"), [(1, 1), (4, 2)])
def test_a_validation_in_the_middle_of_an_epoch_changes_nothing_of_the_training(
    make_trainer, accumulated, interval
):
    """Neither the gradients that are being accumulated, nor the means that are."""
    ends = []
    for machine in (default_machine(), validated_twice()):
        seed_everything(3, verbose=False)
        net, burr = Net(), BurrCallback(machine=machine)
        trainer = make_trainer(
            burr, max_epochs=2, accumulate_grad_batches=accumulated, val_check_interval=interval
        )
        trainer.fit(net, **data(loader(shuffle=False)))
        ends.append((net.network[0].weight.detach(), list(burr.history["train_loss_epoch"])))
    assert "again" in path_of(burr)
    assert torch.equal(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]


def late(*transitions, **actions):
    """Validates after each epoch; Lightning does after every hundredth."""
    return (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), validate=Validate(), best_model=BestModel(), **actions)
        .with_transitions(("train_epoch", "validate"), *transitions, ("validate", "train_epoch"))
        .build()
    )


def fit(make_trainer, machine, losses, **options):
    burr = BurrCallback(machine=machine)
    trainer = make_trainer(burr, check_val_every_n_epoch=100, **options)
    trainer.fit(ScriptedModule(val_loss=losses), scripted_loader(), scripted_loader())
    return burr


def test_a_late_validation_of_the_last_epoch_knows_that_it_was_the_last(make_trainer):
    between = Call(lambda state: {"between": state["epoch"]}, reads=["epoch"], writes=["between"])
    transitions = [
        ("validate", "best_model", FINISHED),
        ("validate", "between", Condition.expr("epoch >= 1")),
    ]
    machine = late(*transitions, ("between", "train_epoch"), between=between)
    burr = fit(make_trainer, machine, [0.5, 0.4, 0.3], max_epochs=3)
    assert burr.state["between"] == 1
    assert burr.state["stop_reason"] == "max_epochs=3 was reached"
    assert path_of(burr).endswith("between -> train_epoch -> validate -> best_model")


@pytest.mark.parametrize(("least", "last"), [(1, 0), (2, 1), (3, 2)])
def test_a_late_validation_may_stop_the_run_as_soon_as_its_least_epochs_are_over(make_trainer, least, last):
    stop = CAN_STOP & reached("val_loss", 0.9)
    machine = late(("validate", "best_model", FINISHED), ("validate", "best_model", stop))
    burr = fit(make_trainer, machine, [0.5, 0.4, 0.3, 0.2], max_epochs=4, min_epochs=least)
    assert burr.state["epoch"] == last
    assert burr.state["stop_reason"].startswith("reached(val_loss")
