"""Whatever the way that a machine takes out of the training, the state says why it took it."""

import logging

import pytest
from burr.core import Condition, State, action
from burr.core.graph import GraphBuilder
from exact_machines import Data
from exact_parts import Net, adam, scheduled
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import BestModel, Call, SetLearningRate, TrainEpoch, Validate
from burr_lightning.conditions import diverged, max_epochs, not_finite, plateau
from burr_lightning.errors import ArgumentError, MachineError
from burr_lightning.machines import (
    CAN_STOP,
    FINISHED,
    VALIDATION_DUE,
    Lesson,
    Stage,
    Unfrozen,
    curriculum,
    in_this_stage,
    rollback_on_divergence,
    staged_machine,
    warm_restarts,
)
from burr_lightning.testing import ScriptedModule, scripted_loader

NAN = float("nan")


@action(reads=["epoch"], writes=["note"])
def note(state: State) -> State:
    return state.update(note=state["epoch"])


def built(*transitions, **actions):
    return GraphBuilder().with_actions(**actions).with_transitions(*transitions).build()


def fit(trainer, *losses):
    trainer.fit(ScriptedModule(val_loss=list(losses)), scripted_loader(), scripted_loader())


def test_the_condition_is_named_where_another_action_is_on_the_way(make_trainer):
    machine = built(
        ("train_epoch", "validate", VALIDATION_DUE),
        ("validate", "note"),
        ("note", "best_model", FINISHED),
        ("note", "best_model", CAN_STOP & plateau("val_loss", 1)),
        ("note", "train_epoch"),
        ("train_epoch", "train_epoch"),
        train_epoch=TrainEpoch(),
        validate=Validate(),
        note=note,
        best_model=BestModel(),
    )
    burr = BurrCallback(machine=machine)
    fit(make_trainer(burr, max_epochs=9), 0.5, 0.6)
    assert burr.state["stop_reason"] == (
        "plateau(val_loss, patience=1): no improvement on 0.5 (epoch 0) for 1 check"
    )


def test_the_first_condition_out_is_named_also_after_a_kill_on_the_way_and_without_best_model(make_trainer):
    def machine(last):
        return built(
            ("train_epoch", "validate", VALIDATION_DUE),
            ("validate", "note", CAN_STOP & plateau("val_loss", 1)),
            ("validate", "note", FINISHED),
            (["train_epoch", "validate"], "train_epoch"),
            ("note", "last"),
            train_epoch=TrainEpoch(),
            validate=Validate(),
            note=note,
            last=last,
        )

    def fails():
        raise OSError("no mail today")

    said = "plateau(val_loss, patience=1): no improvement on 0.5 (epoch 0) for 1 check"
    with pytest.raises(OSError, match="no mail today"):
        fit(make_trainer(BurrCallback("r", machine=machine(Call(fails))), max_epochs=9), 0.5, 0.6)
    again = BurrCallback("r", machine=machine(Call(lambda: None)))
    fit(make_trainer(again, max_epochs=9), 0.5, 0.6)
    assert again.state["stop_reason"] == Run.open("r").stop_reason == said
    assert str(again.run.path).endswith(" -> note -> last")


def test_where_lightning_ends_the_training_its_limit_is_the_reason(make_trainer):
    machine = built(
        ("train_epoch", "validate", VALIDATION_DUE),
        ("validate", "slower", plateau("val_loss", 1)),
        (["train_epoch", "validate", "slower"], "best_model", FINISHED),
        (["train_epoch", "validate", "slower"], "train_epoch"),
        train_epoch=TrainEpoch(),
        validate=Validate(),
        slower=SetLearningRate(factor=0.5),
        best_model=BestModel(),
    )
    burr = BurrCallback(machine=machine)
    fit(make_trainer(burr, max_epochs=2), 0.5, 0.6)
    assert str(burr.run.path).endswith("slower -> best_model")
    assert burr.state["stop_reason"] == "max_epochs=2 was reached"


def test_one_bad_validation_is_one_rollback_however_seldom_it_is_validated(make_trainer):
    machine = rollback_on_divergence(diverged("val_loss", 1.0), lr_factor=0.1, most=2)
    burr = BurrCallback(machine=machine, monitor="val_loss")

    trainer = make_trainer(burr, max_epochs=12, check_val_every_n_epoch=3)
    trainer.fit(ScriptedModule(val_loss=[0.5, 9.0, 9.0, 9.0]), scripted_loader(), scripted_loader())
    assert [step.action for step in burr.run.path].count("rollback") == 2
    assert burr.state["rollback"]["epoch"] == 8
    assert burr.state["stop_reason"] == "diverged(val_loss, 1): 9 > 1 (epoch 11)"


@pytest.mark.parametrize("to", ["best", "last"])
def test_a_run_that_diverges_before_there_is_a_commit_ends_and_says_why(make_trainer, to):
    machine = rollback_on_divergence(not_finite("val_loss"), to=to)
    burr = BurrCallback(machine=machine, monitor="val_loss")
    fit(make_trainer(burr, max_epochs=5), NAN)
    assert str(burr.run.path) == "process_data -> train_epoch -> validate -> best_model"
    assert burr.state["stop_reason"] == "not_finite(val_loss): nan (epoch 0) is not finite"


def test_a_machine_that_lightning_leaves_behind_is_told_what_is_missing(make_trainer, caplog):
    machine = built(
        ("train_epoch", "best_model", Condition.expr("epoch == 10")),
        ("train_epoch", "train_epoch"),
        train_epoch=TrainEpoch(),
        best_model=BestModel(),
    )
    burr = BurrCallback(machine=machine)
    with caplog.at_level(logging.WARNING):
        make_trainer(burr, max_epochs=2).fit(ScriptedModule(val_loss=[1.0]), scripted_loader())
    assert burr.run.status == "interrupted"
    assert "(max_epochs=2 was reached), and after 'train_epoch' the machine goes on to 'train_epoch'" in (
        caplog.text
    )
    assert "burr_lightning.machines.FINISHED" in caplog.text


def test_a_finished_run_goes_on_where_todays_machine_has_more_to_do(make_trainer):
    for restarts, cycles in ((1, 2), (3, 4)):
        burr = BurrCallback("r", machine=warm_restarts(max_epochs(1), restarts=restarts))
        module = Net(nn.Identity(), configure=scheduled(lambda o: CosineAnnealingLR(o, 4), adam))
        make_trainer(burr, max_epochs=20).fit(module, scripted_digits())
        assert burr.state["stage"]["number"] == cycles
        assert burr.state["epoch"] == cycles - 1


def scripted_digits():
    return Data().train_dataloader()


def test_settings_of_loaders_that_were_made_before_are_refused(make_trainer):
    machine = curriculum([Lesson("small", max_epochs(1), {"batch_size": 2}), Lesson("all", None)])
    module = ScriptedModule(val_loss=[1.0])
    module.batch_size = 4
    with pytest.raises(ArgumentError, match=r"SwapData\(batch_size\): the loaders were made before"):
        make_trainer(BurrCallback(machine=machine), max_epochs=2).fit(module, scripted_loader())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: BurrCallback(machine=rollback_on_divergence(not_finite("val_loss"))),
            r"'rollback', Rollback\(to='best', lr_factor=0.5\), needs to know which epoch is the best",
        ),
        (
            lambda: BurrCallback(
                machine=built(
                    ("process_data", "best_model", FINISHED),
                    ("process_data", "train_epoch"),
                    ("train_epoch", "train_epoch"),
                    process_data=Call(lambda: None),
                    train_epoch=TrainEpoch(),
                    best_model=BestModel(),
                )
            ),
            "from 'train_epoch' no path leads to an action that no transition leaves",
        ),
        (
            lambda: BurrCallback(machine=lambda: GraphBuilder()),
            "this is a GraphBuilder",
        ),
        (lambda: warm_restarts("plateau"), r"warm_restarts\('plateau'\): it must be a Burr condition"),
        (lambda: in_this_stage("plateau"), r"in_this_stage\('plateau'\): it must be a Burr condition"),
        (
            lambda: rollback_on_divergence("nan"),
            r"rollback_on_divergence\('nan'\): it must be",
        ),
        (
            lambda: staged_machine([Stage("a", "never")]),
            r"Stage\('a', until=...\)\('never'\): it must",
        ),
        (
            lambda: staged_machine([Stage("a", None, {"train_a": SetLearningRate(0.1)})]),
            "two actions are called train_a",
        ),
        (
            lambda: staged_machine([Stage("a", None, {"best_model": SetLearningRate(0.1)})]),
            "two actions are called best_model",
        ),
    ],
)
def test_a_machine_that_cannot_be_meant_is_refused(make, message):
    with pytest.raises(MachineError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: warm_restarts(max_epochs(1), restarts=1.5),
            r"warm_restarts\(restarts=1.5\): it must be",
        ),
        (lambda: rollback_on_divergence(not_finite("a"), most="3"), r"rollback_on_divergence\(most='3'\)"),
        (
            lambda: Unfrozen("head", "layer", None),
            r"Unfrozen\('head', 'layer', ...\): give a list",
        ),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
