"""Phases as Burr sees them: their stream, their hooks, their attributes, their durations."""

import json
from pathlib import Path

import pytest
from burr.core import Application
from burr.core.action import Action
from burr.core.graph import GraphBuilder
from burr.lifecycle.base import PostRunStepHook, PostStreamItemHook, PreRunStepHook
from burr.tracking import LocalTrackingClient
from torchmetrics.regression import MeanAbsoluteError

from burr_lightning import BurrCallback
from burr_lightning.actions import TrainEpoch, Validate
from burr_lightning.conditions import plateau
from burr_lightning.graphs import FINISHED, PROVIDED_INPUTS
from burr_lightning.testing import ScriptedModule, scripted_loader


class Listener(PreRunStepHook, PostRunStepHook, PostStreamItemHook):
    def __init__(self):
        self.steps, self.items, self.open = [], [], None

    def pre_run_step(self, *, action, **future_kwargs):
        self.open = action.name

    def post_run_step(self, *, action, result, state, **future_kwargs):
        self.steps.append((action.name, result))
        self.open = None

    def post_stream_item(self, *, item, action, **future_kwargs):
        self.items.append((action, item["batch"]))


class Watched(ScriptedModule):
    """Looks which step is open while Lightning is inside its loops."""

    def __init__(self, listener, **script):
        super().__init__(**script)
        self.listener, self.seen = listener, []

    def training_step(self, batch, batch_idx):
        self.seen.append(("training", self.listener.open))
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        if not self.trainer.sanity_checking:
            self.seen.append(("validation", self.listener.open))


def fit(trainer, module):
    trainer.fit(module, scripted_loader(batches=4), scripted_loader(batches=2))


def log_of(burr):
    path = Path(LocalTrackingClient("lightning").storage_dir) / burr.app.uid / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_step_of_a_phase_is_open_while_lightning_is_inside_it(make_trainer):
    listener = Listener()
    module = Watched(listener, val_loss=[0.5])
    fit(make_trainer(BurrCallback(hooks=[listener]), max_epochs=2), module)
    assert module.seen == [*[("training", "train_epoch")] * 4, *[("validation", "validate")] * 2] * 2


def test_stream_items_are_batches_and_the_result_says_which(make_trainer):
    listener = Listener()
    module = ScriptedModule(val_loss=[0.5])
    fit(make_trainer(BurrCallback(hooks=[listener]), max_epochs=1, val_check_interval=2), module)
    results = {(name, result.get("first_batch"), result.get("last_batch")) for name, result in listener.steps}
    assert {("train_epoch", 0, 1), ("train_epoch", 2, 3), ("validate", 0, 1)} <= results
    assert listener.items == [
        *[("train_epoch", 0), ("train_epoch", 1), ("validate", 0), ("validate", 1)],
        *[("train_epoch", 2), ("train_epoch", 3), ("validate", 0), ("validate", 1)],
    ]


def test_the_last_phase_of_an_epoch_carries_all_metrics_of_the_epoch(make_trainer):
    class LogsLate(ScriptedModule):
        def on_train_epoch_end(self):
            self.log("late", 7.0)

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.log("train_loss", 2.0, on_step=False, on_epoch=True)
            return loss

    listener = Listener()
    burr = BurrCallback(hooks=[listener])
    fit(make_trainer(burr, max_epochs=1), LogsLate(val_loss=[0.5]))
    [validate] = [result for name, result in listener.steps if name == "validate"]
    assert validate["metrics"] == {"val_loss": 0.5, "train_loss": 2.0, "late": 7.0}
    assert validate["ends_epoch"]
    assert burr.history.names == ["val_loss", "train_loss", "late"]


def test_metrics_are_burr_attributes_of_the_step(make_trainer):
    burr = BurrCallback()
    fit(make_trainer(burr, max_epochs=2), ScriptedModule(val_loss=[0.5, 0.25], val_acc=[0.1, 0.2]))
    log = log_of(burr)
    steps = {entry["sequence_id"]: entry["action"] for entry in log if entry["type"] == "begin_entry"}
    logged = [
        (steps[entry["action_sequence_id"]], entry["key"], entry["value"])
        for entry in log
        if entry["type"] == "attribute"
    ]
    assert logged == [
        ("validate", "val_loss", 0.5),
        ("validate", "val_acc", pytest.approx(0.1)),
        ("validate", "val_loss", 0.25),
        ("validate", "val_acc", pytest.approx(0.2)),
    ]


def test_what_the_tracker_writes_of_a_step_stays_small(make_trainer):
    burr = BurrCallback()
    module = ScriptedModule(val_loss=[0.5])
    trainer = make_trainer(burr, max_epochs=60)
    fit(trainer, module)
    sizes = [len(json.dumps(entry)) for entry in log_of(burr)]
    assert max(sizes) < 2048
    inputs = [entry["inputs"] for entry in log_of(burr) if entry["type"] == "begin_entry"]
    assert {"phase": "Lightning's loop"} in inputs


def test_a_torchmetrics_metric_brings_its_direction(make_trainer):
    class Distance(MeanAbsoluteError):
        higher_is_better = True

    class Measures(ScriptedModule):
        def __init__(self, **script):
            super().__init__(**script)
            self.error = Distance()

        def validation_step(self, batch, batch_idx):
            self.error(batch[0][:, 0], batch[0][:, 0] + self.current_epoch)
            self.log("error", self.error)

    burr = BurrCallback(monitor="error")
    fit(make_trainer(burr, max_epochs=3), Measures(val_loss=[1.0]))
    assert burr.history.direction("error") == "max"
    assert burr.history.direction("val_loss") is None
    assert (burr.state["best"]["epoch"], burr.state["best"]["value"]) == (2, pytest.approx(2.0))


def test_the_best_epoch_its_value_and_its_checkpoint_are_named(make_trainer):
    burr = BurrCallback(monitor="val_loss")
    fit(make_trainer(burr, max_epochs=5), ScriptedModule(val_loss=[0.5, 0.2, 0.4, 0.3, 0.6]))
    best = burr.state["best"]
    assert (best["epoch"], best["value"]) == (1, 0.2)
    assert "epoch=00001" in best["checkpoint"]
    assert burr.run.best_checkpoint.exists()
    assert burr.best_model_path == str(burr.run.best_checkpoint)
    kept = sorted(path.name[:11] for path in (burr.run.folder / "checkpoints").iterdir())
    assert kept == ["epoch=00001", "epoch=00003", "epoch=00004"]


def test_without_a_monitored_metric_the_last_epoch_is_named(make_trainer):
    burr = BurrCallback()
    fit(make_trainer(burr, max_epochs=3), ScriptedModule(val_loss=[0.5, 0.2, 0.4]))
    best, checkpoint = burr.state["best"], burr.state["checkpoint"]
    assert best == {"epoch": 2, "value": None, "checkpoint": checkpoint["path"]}
    assert burr.last_model_path == burr.best_model_path


def test_a_stop_in_the_middle_of_an_epoch_trains_no_batch_more(make_trainer):
    burr = BurrCallback(stop_when=plateau("val_loss", 2))
    trainer = make_trainer(burr, max_epochs=9, val_check_interval=1)
    trainer.fit(ScriptedModule(val_loss=[0.5, 0.4, 0.3, 0.2, 0.1, 0.9, 0.8]), *[scripted_loader(4)] * 2)
    assert trainer.global_step == 7
    assert burr.state["epoch"] == 1
    assert burr.history.progress("val_loss", "min").checks == 7
    assert burr.state["stop_reason"] == (
        "plateau(val_loss, patience=2): no improvement on 0.1 (epoch 1) for 2 checks"
    )
    assert [step.action for step in burr.run.path][-3:] == ["train_epoch", "validate", "best_model"]


def test_burrs_page_can_show_the_code_of_a_phase():
    source = Validate().get_source()
    assert "class Validate(PhaseAction)" in source
    assert "def stream_run" in source
    assert "def recorded" in source


def test_the_application_is_burrs_own(make_trainer):
    burr = BurrCallback(run_id="a", project="p")
    fit(make_trainer(burr, max_epochs=1), ScriptedModule(val_loss=[0.5]))
    assert isinstance(burr.app, Application)
    assert (burr.app.uid, burr.app.partition_key) == ("a", "p")
    assert burr.app.get_next_action() is None


def test_an_action_is_given_every_input_that_the_machine_checks_allow(make_trainer):
    given = {}

    class Asks(Action):
        reads, writes, inputs = [], ["asked"], sorted(PROVIDED_INPUTS)

        def run(self, state, **inputs):
            given.update(inputs)
            return {}

        def update(self, result, state):
            return state.update(asked=True)

    machine = (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), asks=Asks())
        .with_transitions(("train_epoch", "asks", FINISHED), ("train_epoch", "train_epoch"))
        .build()
    )
    trainer, module = make_trainer(BurrCallback(machine=machine), max_epochs=1), ScriptedModule(loss=[0.5])
    fit(trainer, module)
    assert given.keys() == PROVIDED_INPUTS
    assert given["trainer"] is trainer
    assert given["pl_module"] is module
    assert given["fingerprint"]["train"][0]["batches"] == 4
