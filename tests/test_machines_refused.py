"""Graphs that are refused at construction, each with the name of what is wrong."""

import pytest
from burr.core import Condition, State, action
from burr.core.action import Action
from burr.core.graph import GraphBuilder
from test_machines import END, PHASES, refused

from burr_lightning import BurrCallback
from burr_lightning.actions import BestModel, Call, Freeze, TrainEpoch, Validate
from burr_lightning.conditions import max_epochs
from burr_lightning.errors import MachineError
from burr_lightning.machines import FINISHED, VALIDATION_DUE, Stage, curriculum, staged_machine

ASKS = ("train_epoch", "validate", VALIDATION_DUE)
AT_THREE = Condition.expr("epoch == 3")


@pytest.mark.parametrize("best", [BestModel(load_weights=True), BestModel(export="best.pt")])
def test_best_weights_that_are_given_before_the_end_are_refused(best):
    later = (Call(lambda state: None), ("best_model", "report"))
    said = refused(ASKS, *END, later[1], best_model=best, report=later[0])
    assert "'best_model' loads or exports the best weights" in said
    assert "Make it the last" in said


def test_a_best_model_that_names_the_best_epoch_alone_may_stand_before_the_end():
    report = Call(lambda state: None)
    actions = {**PHASES, "report": report}
    graph = GraphBuilder().with_actions(**actions).with_transitions(ASKS, *END, ("best_model", "report"))
    BurrCallback(machine=graph.build())


@action(reads=[], writes=["later"])
async def later(state: State) -> State:
    return state.update(later=1)


class Later(Action):
    reads, writes = [], ["later"]

    async def run(self, state, **run_kwargs):
        return {"later": 1}

    def update(self, result, state):
        return state.update(**result)


@pytest.mark.parametrize("asynchronous", [later, Later()])
def test_an_asynchronous_action_is_refused(asynchronous):
    said = refused(ASKS, ("validate", "later", AT_THREE), ("later", "train_epoch"), *END, later=asynchronous)
    assert "the action 'later' is asynchronous" in said


@action(reads=[], writes=["seen"])
def asks_for_more(state: State, pl_module, model, optimizer) -> State:
    return state.update(seen=1)


@pytest.mark.parametrize(
    ("asking", "names"),
    [(asks_for_more, "model, optimizer"), (Call(lambda state, trainer, model: None), "model")],
)
def test_an_action_that_asks_for_what_nobody_gives_is_refused(asking, names):
    said = refused(ASKS, ("validate", "look", AT_THREE), ("look", "train_epoch"), *END, look=asking)
    assert f"the action 'look' asks for the input {names}, which nobody gives" in said
    assert "trainer, pl_module and datamodule" in said


@action(reads=["epoch"], writes=["epoch", "note"])
def counts_again(state):
    return state.update(epoch=17, note="again")


def test_an_action_that_writes_how_far_the_training_is_is_refused():
    ways = ("validate", "look", AT_THREE), ("look", "train_epoch")
    said = refused(ASKS, *ways, *END, look=counts_again)
    assert "the action 'look' writes epoch, which is the run's own" in said
    assert "metrics" in refused(ASKS, *ways, *END, look=Call(lambda state: {}, writes=["metrics"]))
    assert "writes best, stage, which" in refused(
        ASKS, *ways, *END, look=Call(lambda state: {}, writes=["stage", "best"])
    )


def test_a_transition_that_is_never_taken_is_refused():
    said = refused(
        ASKS,
        ("train_epoch", "best_model", FINISHED),
        ("train_epoch", "train_epoch"),
        ("validate", "train_epoch"),
        ("validate", "best_model", FINISHED),
    )
    assert "the transition from 'validate' to 'best_model' is never taken" in said
    assert "the default one to 'train_epoch' comes before it. Put the default last" in said


def test_a_condition_that_always_holds_is_no_default_and_nothing_after_it_is_refused():
    always = Condition.expr("epoch >= -1")
    graph = (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), validate=Validate(), best_model=BestModel())
        .with_transitions(
            ASKS,
            (["train_epoch", "validate"], "train_epoch", always),
            (["train_epoch", "validate"], "best_model"),
        )
        .build()
    )
    BurrCallback(machine=graph)


def test_actions_of_two_stages_that_share_a_name_are_refused():
    stages = [
        Stage("a", max_epochs(1), {"freeze": Freeze("*")}),
        Stage("b", max_epochs(1), {"freeze": Freeze("network")}),
    ]
    with pytest.raises(MachineError, match=r"staged_machine\(.*freeze"):
        staged_machine(stages)
    with pytest.raises(MachineError, match="one stage or more"):
        curriculum([])
