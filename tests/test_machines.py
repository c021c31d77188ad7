"""Machines of a user's own: what they may look like, where their actions run, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from burr.core import Condition, State, action, default
from burr.core.action import Action
from burr.core.graph import GraphBuilder
from burr.tracking import LocalTrackingClient

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import BestModel, Call, ProcessData, Rollback, TrainEpoch, Validate
from burr_lightning.conditions import max_epochs, plateau, reached
from burr_lightning.errors import ArgumentError, MachineError
from burr_lightning.machines import CAN_STOP, FINISHED, VALIDATION_DUE
from burr_lightning.testing import ScriptedModule, scripted_loader


def fit(trainer, module, **options):
    trainer.fit(module, scripted_loader(**options), scripted_loader(batches=2))


def path_of(burr):
    return str(Run.open(burr.app.uid).path)


def noting(name):
    """An action that adds the epoch to a note of its name."""

    @action(reads=["epoch"], writes=[name])
    def take(state: State) -> State:
        return state.update(**{name: [*state.get(name, []), state["epoch"]]})

    return take


def built(*transitions, entry="train_epoch", **actions):
    actions = {entry: actions[entry], **actions}
    return GraphBuilder().with_actions(**actions).with_transitions(*transitions).build()


PHASES = {"train_epoch": TrainEpoch(), "validate": Validate(), "best_model": BestModel()}


# Where actions run


def test_ordinary_actions_run_before_the_first_epoch_between_the_phases_and_at_the_end(make_trainer):
    machine = built(
        ("first", "train_epoch"),
        ("train_epoch", "between", VALIDATION_DUE),
        ("between", "validate"),
        ("validate", "after"),
        ("after", "last", FINISHED),
        ("after", "train_epoch"),
        ("last", "best_model"),
        entry="first",
        **{name: noting(name) for name in ("first", "between", "after", "last")},
        **PHASES,
    )
    burr = BurrCallback(machine=machine)
    fit(make_trainer(burr, max_epochs=2), ScriptedModule(val_loss=[0.5, 0.4]))
    notes = {name: burr.state[name] for name in ("first", "between", "after", "last")}
    assert notes == {"first": [-1], "between": [-1, 0], "after": [0, 1], "last": [1]}
    assert path_of(burr) == "first -> (train_epoch -> between -> validate -> after) x 2 -> last -> best_model"
    assert list(burr.history["val_loss"]) == [0.5, 0.4]


def test_an_action_between_training_and_validation_runs_at_each_validation_inside_an_epoch(make_trainer):
    machine = built(
        ("train_epoch", "between", VALIDATION_DUE),
        ("between", "validate"),
        ("train_epoch", "best_model", FINISHED),
        ("validate", "best_model", FINISHED),
        (["train_epoch", "validate"], "train_epoch"),
        between=noting("between"),
        **PHASES,
    )
    burr = BurrCallback(machine=machine)
    trainer = make_trainer(burr, max_epochs=2, val_check_interval=0.25)
    fit(trainer, ScriptedModule(val_loss=[0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]), batches=8)
    assert path_of(burr) == "(train_epoch -> between -> validate) x 8 -> best_model"
    assert burr.state["between"] == [-1] * 4 + [0] * 4
    assert list(burr.history["val_loss"]) == [0.5, 0.1]
    assert burr.history.progress("val_loss", "min").checks == 8


def test_a_machine_of_twelve_actions_with_nested_conditions_takes_its_way(make_trainer):
    names = ["measure", "small", "large", "even", "odd", "third", "note", "report"]
    machine = built(
        ("process_data", "measure"),
        ("measure", "train_epoch"),
        ("train_epoch", "validate", VALIDATION_DUE),
        ("validate", "small", reached("val_loss", 0.35) & ~max_epochs(6)),
        ("validate", "large", (~reached("val_loss", 0.35) | max_epochs(100)) & ~max_epochs(6)),
        ("validate", "report"),
        ("small", "even", Condition.expr("epoch % 2 == 0")),
        ("small", "odd"),
        ("large", "third", Condition.expr("epoch % 3 == 0 and len(small) == 0")),
        ("large", "note"),
        (["even", "odd", "third", "note"], "best_model", CAN_STOP & reached("val_loss", 0.01)),
        (["even", "odd", "third", "note"], "train_epoch"),
        ("report", "best_model"),
        entry="process_data",
        process_data=ProcessData(),
        **{name: noting(name) for name in names},
        **PHASES,
    )
    burr = BurrCallback(machine=machine, initial_state={name: [] for name in names})
    assert len(machine.actions) == 12
    module = ScriptedModule(val_loss=[0.5, 0.4, 0.3, 0.4, 0.2, 0.1, 0.1])
    fit(make_trainer(burr, max_epochs=6), module)
    found = {name: burr.state[name] for name in names}
    assert found == {
        "measure": [-1],
        "small": [2, 4],
        "even": [2, 4],
        "odd": [],
        "large": [0, 1, 3],
        "third": [0],
        "note": [1, 3],
        "report": [5],
    }


def test_a_machine_may_be_a_function_and_have_tags_sub_graphs_and_both_kinds_of_actions(make_trainer):
    class Ending(Action):
        reads, writes, tags = [], ["ended"], ["end"]

        def run(self, state, **run_kwargs):
            return {"ended": True}

        def update(self, result, state):
            return state.update(**result)

    @action(reads=[], writes=["counted"], tags=["counts"])
    def count(state: State, trainer, pl_module) -> State:
        assert pl_module is trainer.lightning_module
        return state.update(counted=state["counted"] + 1)

    def machine():
        training = built(
            ("train_epoch", "validate", VALIDATION_DUE), train_epoch=TrainEpoch(), validate=Validate()
        )
        return (
            GraphBuilder()
            .with_graph(training)
            .with_actions(count=count, ending=Ending())
            .with_transitions(
                (["train_epoch", "validate"], "count", default),
                ("count", "ending", FINISHED),
                ("count", "train_epoch"),
            )
            .build()
        )

    burr = BurrCallback(machine=machine, initial_state={"counted": 0})
    fit(make_trainer(burr, max_epochs=3), ScriptedModule(val_loss=[0.5]))
    assert (burr.state["counted"], burr.state["ended"]) == (3, True)
    assert burr.machine.get_action("count").tags == ["counts"]


def test_a_run_goes_on_with_the_keys_that_it_began_with(make_trainer):
    machine = built(
        ("train_epoch", "count"),
        ("count", "best_model", FINISHED),
        ("count", "train_epoch"),
        train_epoch=TrainEpoch(),
        count=Call(lambda state: {"counted": state["counted"] + 1}, reads=["counted"], writes=["counted"]),
        best_model=BestModel(),
    )
    for epochs in (2, 3):
        burr = BurrCallback("counting", machine=machine, initial_state={"counted": 10})
        fit(make_trainer(burr, max_epochs=epochs), ScriptedModule(val_loss=[0.5]))
    assert burr.state["counted"] == 13


# Validations


def test_a_machine_can_ask_for_a_validation_where_lightning_makes_none(make_trainer):
    machine = built(
        ("train_epoch", "validate", VALIDATION_DUE),
        ("train_epoch", "validate", Condition.expr("epoch == 0")),
        (["train_epoch", "validate"], "best_model", FINISHED),
        (["train_epoch", "validate"], "train_epoch"),
        **PHASES,
    )
    burr = BurrCallback(machine=machine, monitor="val_loss")
    trainer = make_trainer(burr, max_epochs=4, check_val_every_n_epoch=2)
    module = ScriptedModule(val_loss=[0.5, 0.7, 0.6])
    fit(trainer, module)
    values = list(burr.history["val_loss"])
    assert (values[0], values[1], values[3]) == (0.5, 0.7, 0.6)
    assert values[2] != values[2]
    assert burr.state["best"]["epoch"] == 0
    names = [step.action for step in Run.open(burr.app.uid).path]
    assert names == [
        *("train_epoch", "validate", "train_epoch", "validate"),
        *("train_epoch", "train_epoch", "validate", "best_model"),
    ]
    assert module.training


def test_a_machine_can_do_without_a_validation_that_lightning_would_make(make_trainer):
    machine = built(
        ("train_epoch", "validate", VALIDATION_DUE & Condition.expr("epoch % 2 == 0")),
        (["train_epoch", "validate"], "best_model", FINISHED),
        (["train_epoch", "validate"], "train_epoch"),
        **PHASES,
    )
    burr = BurrCallback(machine=machine)
    module = ScriptedModule(val_loss=[0.5, 0.4])
    fit(make_trainer(burr, max_epochs=4), module)
    assert int(module.line) == 2
    assert [v == v for v in burr.history["val_loss"]] == [False, True, False, True]
    assert len(burr.history) == 4


def test_an_action_between_can_decide_against_a_validation(make_trainer):
    machine = built(
        ("train_epoch", "decide", VALIDATION_DUE),
        ("decide", "validate", Condition.expr("wanted")),
        ("decide", "train_epoch"),
        (["train_epoch", "validate"], "best_model", FINISHED),
        (["train_epoch", "validate"], "train_epoch"),
        decide=Call(lambda state: {"wanted": state["epoch"] == 0}, reads=["epoch"], writes=["wanted"]),
        **PHASES,
    )
    burr = BurrCallback(machine=machine, initial_state={"wanted": False})
    module = ScriptedModule(val_loss=[0.5])
    fit(make_trainer(burr, max_epochs=3), module)
    assert int(module.line) == 1
    assert [v == v for v in burr.history["val_loss"]] == [False, True, False]
    assert burr.state["epoch"] == 2


def test_a_validation_that_nobody_can_make_is_refused_where_it_is_asked_for(make_trainer):
    machine = built(
        ("train_epoch", "validate"),
        ("validate", "best_model", FINISHED),
        ("validate", "train_epoch"),
        **PHASES,
    )
    trainer = make_trainer(BurrCallback(machine=machine), max_epochs=2)
    with pytest.raises(MachineError, match=r"After 'train_epoch'.*'validate'.*nothing to validate"):
        trainer.fit(ScriptedModule(val_loss=[0.5]), scripted_loader())


# What goes wrong


def fails(*_, **__):
    raise RuntimeError("the user's own")


class FailingTraining(ScriptedModule):
    def training_step(self, batch, batch_idx):
        if self.current_epoch == 1:
            fails()
        return super().training_step(batch, batch_idx)


class FailingValidation(ScriptedModule):
    def validation_step(self, batch, batch_idx):
        if self.current_epoch == 1:
            fails()


@pytest.mark.parametrize(
    ("kind", "failing"),
    [
        (FailingTraining, "train_epoch"),
        (FailingValidation, "validate"),
        (ScriptedModule, "ordinary"),
        (ScriptedModule, "touching"),
    ],
)
def test_an_exception_reaches_the_user_and_the_run_goes_on_from_before_it(make_trainer, kind, failing):
    wrong = [True]

    def now_and_then(state):
        if wrong[0] and failing == "ordinary" and state["epoch"] == 1:
            fails()

    def with_trainer(state, trainer):
        if wrong[0] and failing == "touching" and state["epoch"] == 1:
            fails()

    def machine():
        return built(
            ("train_epoch", "validate", VALIDATION_DUE),
            ("validate", "ordinary"),
            ("ordinary", "touching"),
            ("touching", "best_model", FINISHED),
            ("touching", "train_epoch"),
            ordinary=Call(now_and_then, reads=["epoch"]),
            touching=Call(with_trainer, reads=["epoch"]),
            **PHASES,
        )

    with pytest.raises(RuntimeError, match="the user's own"):
        fit(make_trainer(BurrCallback("failing", machine=machine), max_epochs=3), kind(val_loss=[0.5]))
    stored = Run.open("failing")
    assert (stored.status, stored.path[-1].action, stored.path[-1].failed) == ("failed", failing, True)
    wrong[0] = False
    burr = BurrCallback("failing", machine=machine)
    fit(make_trainer(burr, max_epochs=3), ScriptedModule(val_loss=[0.5]))
    assert (burr.run.status, len(burr.history)) == ("finished", 3)


def test_runs_may_follow_one_another_and_be_nested(make_trainer):
    def train_another(state):
        inner = BurrCallback(f"inner-{state['epoch']}", monitor="val_loss")
        fit(make_trainer(inner, max_epochs=2), ScriptedModule(val_loss=[0.1 * (state["epoch"] + 1)]))
        return {"inner": inner.state["best"]["value"]}

    machine = built(
        ("train_epoch", "validate", VALIDATION_DUE),
        ("validate", "another"),
        ("another", "best_model", FINISHED),
        ("another", "train_epoch"),
        another=Call(train_another, reads=["epoch"], writes=["inner"]),
        **PHASES,
    )
    for number in range(2):
        burr = BurrCallback(f"outer-{number}", machine=machine)
        fit(make_trainer(burr, max_epochs=2), ScriptedModule(val_loss=[0.5]))
        assert burr.state["inner"] == pytest.approx(0.2)
        assert path_of(burr) == "(train_epoch -> validate -> another) x 2 -> best_model"
    assert Run.open("inner-1").status == "finished"
    assert Run.open("inner-1").path[0].action == "process_data"


def test_the_tracker_writes_no_module_for_an_action_that_asks_for_it(make_trainer):
    machine = built(
        ("train_epoch", "look"),
        ("look", "best_model", FINISHED),
        ("look", "train_epoch"),
        train_epoch=TrainEpoch(),
        look=Call(lambda trainer, pl_module, datamodule: None),
        best_model=BestModel(),
    )
    burr = BurrCallback(machine=machine)
    module = ScriptedModule(val_loss=[0.5])
    module.more = torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(200)])
    fit(make_trainer(burr, max_epochs=1), module)
    log = Path(LocalTrackingClient("lightning").storage_dir) / burr.app.uid / "log.jsonl"
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    [inputs] = [e["inputs"] for e in entries if e["type"] == "begin_entry" and e["action"] == "look"]
    assert inputs == {"trainer": "Trainer", "pl_module": "ScriptedModule", "datamodule": None}


# Graphs that are refused


def refused(*transitions, **actions):
    with pytest.raises(MachineError) as refusal:
        BurrCallback(machine=built(*transitions, **{**PHASES, **actions}))
    return str(refusal.value)


END = [(["train_epoch", "validate"], "best_model", FINISHED), (["train_epoch", "validate"], "train_epoch")]


def test_ordinary_actions_that_never_lead_back_to_the_training_are_refused():
    asks = ("train_epoch", "validate", VALIDATION_DUE)
    alone = refused(
        asks, ("validate", "poll", Condition.expr("epoch == 3")), ("poll", "poll"), *END, poll=noting("n")
    )
    assert "'poll'" in alone
    assert "none leads out" in alone
    two = refused(
        asks,
        ("validate", "one", Condition.expr("epoch == 3")),
        ("one", "two"),
        ("two", "one", Condition.expr("epoch == 3")),
        ("two", "train_epoch"),
        *END,
        one=noting("a"),
        two=noting("b"),
    )
    assert "one, two" in two
    assert "reads a key that these actions write" in two


def test_an_action_that_repeats_until_what_it_writes_is_right_is_allowed(make_trainer):
    machine = built(
        ("train_epoch", "again"),
        ("again", "again", Condition.expr("tries < 3")),
        ("again", "best_model", FINISHED),
        ("again", "train_epoch"),
        train_epoch=TrainEpoch(),
        again=Call(lambda state: {"tries": state["tries"] + 1}, reads=["tries"], writes=["tries"]),
        best_model=BestModel(),
    )
    burr = BurrCallback(machine=machine, initial_state={"tries": 0})
    fit(make_trainer(burr, max_epochs=1), ScriptedModule(val_loss=[0.5]))
    assert path_of(burr) == "train_epoch -> again x 3 -> best_model"


def test_a_machine_lost_among_its_ordinary_actions_is_stopped(make_trainer):
    machine = built(
        ("train_epoch", "again"),
        ("again", "again", Condition.expr("tries >= 0")),
        ("again", "best_model"),
        train_epoch=TrainEpoch(),
        again=Call(lambda state: {"tries": state["tries"] + 1}, reads=["tries"], writes=["tries"]),
        best_model=BestModel(),
    )
    burr = BurrCallback(
        machine=machine, initial_state={"tries": 0}, tracker=False, persister="sqlite:///a.db"
    )
    with pytest.raises(MachineError, match="1000 ordinary actions"):
        fit(make_trainer(burr, max_epochs=1, fast_dev_run=True), ScriptedModule(val_loss=[0.5]))


def test_a_condition_that_reads_what_nobody_writes_is_refused():
    said = refused(
        ("train_epoch", "validate", VALIDATION_DUE),
        ("validate", "best_model", Condition.expr("mood > 1")),
        *END,
    )
    assert "'mood > 1'" in said
    assert "'validate' to 'best_model'" in said
    assert "initial_state={'mood': ...}" in said
    transitions = [
        ("train_epoch", "validate", VALIDATION_DUE),
        ("validate", "best_model", Condition.expr("mood > 1")),
    ]
    BurrCallback(machine=built(*transitions, *END, **PHASES), initial_state={"mood": 0})


@pytest.mark.parametrize("given", [{"epoch": 3}, {"history": []}, {"mine": object()}])
def test_an_initial_state_that_cannot_be_is_refused(given):
    with pytest.raises(ArgumentError, match="initial_state"):
        BurrCallback(initial_state=given)


def test_conditions_of_the_default_machine_are_checked_too():
    with pytest.raises(MachineError, match="reads mood"):
        BurrCallback(stop_when=Condition.expr("mood > 1"))
    BurrCallback(stop_when=plateau("val_loss"))


def test_a_rollback_without_a_checkpoint_says_what_is_there(make_trainer):
    machine = built(
        ("train_epoch", "back"),
        ("back", "best_model", FINISHED),
        ("back", "train_epoch"),
        train_epoch=TrainEpoch(),
        back=Rollback("last"),
        best_model=BestModel(),
    )
    with pytest.raises(
        LookupError, match=r"Rollback\(to='last'\), after epoch 0.*Kept are those of the epochs: 0"
    ):
        fit(make_trainer(BurrCallback(machine=machine), max_epochs=1), ScriptedModule(val_loss=[0.5]))
