"""What a finished run does when its script is run again, and what its rows say of the best epoch."""

import pytest
from burr.core import Condition
from burr.core import state as burr_state
from burr.core.graph import GraphBuilder
from exact_machines import with_actions
from exact_parts import Net, data, scheduled, sgd
from lightning.pytorch import seed_everything
from torch.optim.lr_scheduler import ReduceLROnPlateau

from burr_lightning import BurrCallback, Checkpoints, MetricHistory, Run
from burr_lightning.actions import BestModel, Call, Evaluate, Rollback, TrainEpoch, Validate
from burr_lightning.conditions import diverged, max_steps, reached
from burr_lightning.errors import MachineError
from burr_lightning.graphs import follow
from burr_lightning.machines import CAN_STOP, FINISHED, VALIDATION_DUE, rollback_on_divergence
from burr_lightning.state import initial_state

PHASES = ["train_epoch", "validate"]


def machine(*transitions, **ordinary):
    return (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), validate=Validate(), **ordinary, best_model=BestModel())
        .with_transitions(("train_epoch", "validate", VALIDATION_DUE), *transitions)
        .build()
    )


def test_an_action_that_led_out_is_not_run_again_when_the_script_is(make_trainer):
    calls = []

    def judge(state):
        calls.append(state["epoch"])
        return {"verdict": state["epoch"] >= 1}

    graph = machine(
        (PHASES, "judge"),
        ("judge", "best_model", Condition.expr("verdict")),
        ("judge", "train_epoch"),
        judge=Call(judge, reads=["epoch"], writes=["verdict"]),
    )
    for _ in range(3):
        burr = BurrCallback("r", machine=graph)
        make_trainer(burr, max_epochs=6).fit(Net(), **data())
        assert (burr.run.status, burr.state["epoch"]) == ("finished", 1)
    assert calls == [0, 1]


def test_a_higher_limit_goes_on_from_before_the_actions_that_led_out(make_trainer):
    def tidy(trainer):
        tidied.append(trainer.global_step)

    def trained(run_id, *limits):
        seed_everything(1, verbose=False)
        for limit in limits:
            net, graph = (
                Net(),
                machine(
                    (PHASES, "tidy", FINISHED),
                    (PHASES, "train_epoch"),
                    ("tidy", "best_model"),
                    tidy=Call(tidy),
                ),
            )
            burr = BurrCallback(run_id, machine=graph)
            make_trainer(burr, max_epochs=limit).fit(net, **data())
        return burr

    tidied = []
    again = trained("again", 2, 4)
    assert again.state["epoch"] == 3
    assert tidied == [8, 16]
    assert again.history == trained("whole", 4).history


class Told(Net):
    """Logs losses that it is told, of which that of epoch 2 is the best."""

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", [3.0, 2.0, 1.0, 5.0][self.current_epoch])


def test_the_best_is_the_epochs_own_though_it_was_still_being_written(make_trainer):
    keep = Checkpoints(keep_last=9, asynchronous=True)
    graph = with_actions(back=(Rollback(0), (2,)))
    burr = BurrCallback("r", machine=graph, monitor="val_loss", checkpoints=keep)
    make_trainer(burr, max_epochs=3).fit(Told(), **data())
    with Run.open("r").rows() as rows:
        named = [rows.at(number).state["best"]["checkpoint"] for number in (4, 5, 6) if rows.at(number)]
    assert named
    assert not any(name is not None and "acted" in name for name in named)


def test_what_an_action_made_of_the_best_epoch_is_never_called_the_best(make_trainer):
    keep = Checkpoints(keep_last=9, keep_best=0, every_n_epochs=2)
    burr = BurrCallback(machine=with_actions(back=(Rollback(1), (2,))), monitor="val_loss", checkpoints=keep)
    make_trainer(burr, max_epochs=4).fit(Told(), **data())
    assert (burr.state["best"]["epoch"], burr.state["best"]["checkpoint"]) == (2, None)


def test_a_rollback_after_an_epoch_that_was_cut_short_costs_no_later_step_of_a_schedule(make_trainer):
    class Constant(Net):
        def validation_step(self, batch, batch_idx):
            self.log("val_loss", 1.0)

        def on_train_epoch_start(self):
            seen.append(self.trainer.optimizers[0].param_groups[0]["lr"])

        def on_train_epoch_end(self):
            self.log("x", float(self.current_epoch))

    seen = []
    graph = machine(
        (PHASES, "best_model", CAN_STOP & ~reached("x", 1.0, mode="max") & max_steps(6)),
        (PHASES, "back", Condition.expr("epoch == 1")),
        (PHASES, "best_model", FINISHED),
        (["back", *PHASES], "train_epoch"),
        back=Rollback("last"),
    )
    configure = scheduled(lambda o: ReduceLROnPlateau(o, patience=0, threshold=0.5), sgd, monitor="val_loss")
    burr = BurrCallback(machine=graph)
    trainer = make_trainer(burr, max_epochs=5, val_check_interval=0.5)
    trainer.fit(Constant(configure=configure), **data())
    assert seen == pytest.approx([0.1, 0.1, 0.1, 0.01, 0.001])


def test_a_key_with_a_serializer_of_its_own_may_hold_anything(make_trainer):
    burr_state.register_field_serde(
        "seen_labels", lambda value, **_: {"v": sorted(value)}, lambda value, **_: set(value["v"])
    )
    note = Call(lambda: {"seen_labels": {1, 2}}, writes=["seen_labels"])
    burr = BurrCallback("r", machine=with_actions(note=(note, (0,))))
    make_trainer(burr, max_epochs=2).fit(Net(), **data())
    assert Run.open("r").state["seen_labels"] == {1, 2}


def test_rows_that_do_not_say_after_which_check_a_rollback_was_can_still_be_gone_on_from():
    from burr.core import State

    graph = rollback_on_divergence(diverged("val_loss", 1.0))
    history = MetricHistory().append(0, {"val_loss": 0.5})
    old = {"count": 1, "epoch": 0, "to": 0, "checkpoint": "a.ckpt", "times": 1, "lr": [0.1]}
    state = State(initial_state({}, "val_loss", None)).update(history=history, epoch=0, rollback=old)
    assert follow(graph, "validate", state)[0] == "train_epoch"


@pytest.mark.parametrize(
    ("action", "keep", "message"),
    [
        (Rollback("best"), Checkpoints(keep_best=0), r"give Checkpoints\(keep_best=1\) or more"),
        (Evaluate("best"), Checkpoints(keep_best=0), r"give Checkpoints\(keep_best=1\) or more"),
        (Rollback("last"), Checkpoints(keep_last=1, keep_best=0), r"give Checkpoints\(keep_last=2\) or more"),
    ],
)
def test_an_action_that_needs_a_checkpoint_which_is_not_kept_is_refused(action, keep, message):
    with pytest.raises(MachineError, match=message):
        BurrCallback(machine=with_actions(it=(action, (1,))), monitor="val_loss", checkpoints=keep)
