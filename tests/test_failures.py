"""What goes wrong reaches the user unchanged, and the run can go on."""

import json
import signal
import subprocess
import sys
import textwrap
import traceback
from pathlib import Path

import pytest
import pytorch_lightning
import torch
from burr.core import Condition, State, action, default
from burr.core.graph import GraphBuilder
from burr.tracking import LocalTrackingClient
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import BestModel, TrainEpoch, Validate
from burr_lightning.conditions import plateau, reached
from burr_lightning.errors import (
    ArgumentError,
    BurrLightningError,
    ConditionError,
    MachineError,
    RunIdError,
    RunNotFoundError,
    TrainerError,
    UnknownMetricError,
)
from burr_lightning.machines import FINISHED
from burr_lightning.steps import read_steps
from burr_lightning.testing import ScriptedModule, scripted_loader


class Breaks(ScriptedModule):
    """Raises in one batch of the second epoch, the first or a later one."""

    def __init__(self, batch=2, error=None, **script):
        super().__init__(**script)
        self.batch, self.error = batch, error or ValueError("a broken batch")

    def training_step(self, batch, batch_idx):
        if self.current_epoch == 1 and batch_idx == self.batch:
            raise self.error
        return super().training_step(batch, batch_idx)


def fit(trainer, module=None):
    trainer.fit(module or ScriptedModule(val_loss=[0.5, 0.4, 0.3]), scripted_loader(), scripted_loader())


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_an_exception_in_training_reaches_the_user_unchanged_and_the_step_is_failed(make_trainer, batch):
    error = ValueError("a broken batch")
    with pytest.raises(ValueError, match="a broken batch") as raised:
        fit(make_trainer(BurrCallback(run_id="a"), max_epochs=3), Breaks(batch, error, val_loss=[0.5]))
    assert raised.value is error
    frames = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    assert frames[-1] == __file__
    assert not any("burr/" in name or "burr_lightning" in name for name in frames)
    run = Run.open("a")
    assert run.status == "failed"
    assert run.error == "ValueError: a broken batch"
    assert run.epoch == 0
    last = run.path[-1]
    assert (last.action, last.failed) == ("train_epoch", True)
    assert "ValueError: a broken batch" in log_of("a").read_text().splitlines()[-2]

    burr = BurrCallback(run_id="a")
    fit(make_trainer(burr, max_epochs=3))
    assert Run.open("a").status == "finished"
    assert Run.open("a").error is None
    assert [(step.action, step.failed) for step in burr.run.path][3] == ("train_epoch", False)
    assert burr.state["epoch"] == 2


def test_ctrl_c_is_an_interruption_and_the_step_is_failed(make_trainer):
    with pytest.raises(SystemExit):
        fit(
            make_trainer(BurrCallback(run_id="a"), max_epochs=3), Breaks(1, KeyboardInterrupt(), val_loss=[1])
        )
    run = Run.open("a")
    assert (run.status, run.epoch, run.path[-1].failed) == ("interrupted", 0, True)
    fit(make_trainer(BurrCallback(run_id="a"), max_epochs=3))
    assert Run.open("a").status == "finished"


def test_an_exception_in_validation_fails_the_validate_step(make_trainer):
    class BreaksInValidation(ScriptedModule):
        def validation_step(self, batch, batch_idx):
            if self.current_epoch == 1 and not self.trainer.sanity_checking:
                raise ArithmeticError("a broken validation")

    with pytest.raises(ArithmeticError, match="a broken validation"):
        fit(make_trainer(BurrCallback(run_id="a"), max_epochs=3), BreaksInValidation(val_loss=[0.5]))
    steps = [(step.action, step.failed) for step in Run.open("a").path]
    assert steps[-2:] == [("train_epoch", False), ("validate", True)]


def log_of(run_id):
    return Path(LocalTrackingClient("lightning").storage_dir) / run_id / "log.jsonl"


def test_after_a_resume_burrs_log_holds_each_step_once(make_trainer):
    with pytest.raises(ValueError, match="a broken batch"):
        fit(make_trainer(BurrCallback(run_id="a"), max_epochs=3), Breaks(2, val_loss=[0.5]))
    with log_of("a").open("a") as log:
        log.write('{"type": "begin_entry", "start_ti')
    fit(make_trainer(BurrCallback(run_id="a"), max_epochs=3))
    entries = [json.loads(line) for line in log_of("a").read_text().splitlines()]
    for kind in ("begin_entry", "end_entry"):
        numbers = [entry["sequence_id"] for entry in entries if entry["type"] == kind]
        assert numbers == list(range(8))
    undone = log_of("a").with_name("undone.jsonl").read_text()
    assert "ValueError: a broken batch" in undone
    assert undone.endswith('{"type": "begin_entry", "start_ti')


def test_a_run_of_the_same_name_elsewhere_is_kept_apart_in_burrs_tracker(make_trainer, tmp_path, caplog):
    fit(make_trainer(BurrCallback(run_id="a", root_dir=tmp_path / "one"), max_epochs=3))
    fit(make_trainer(BurrCallback(run_id="a", root_dir=tmp_path / "two"), max_epochs=1))
    assert "Burr's tracker knew another run of that name; it is kept as 'a-until-" in caplog.text
    assert len(Run.open("a", root_dir=tmp_path / "two").path) == 4
    [kept] = log_of("a").parent.parent.glob("a-until-*")
    assert len(read_steps(kept)) == 8


@action(reads=["epoch"], writes=["note"])
def note(state: State) -> State:
    if state["epoch"] == 1:
        raise LookupError("a broken action")
    return state.update(note=f"after epoch {state['epoch']}")


def noting_machine(limit):
    return (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), note=note, best_model=BestModel())
        .with_transitions(
            ("train_epoch", "note", default),
            ("note", "best_model", FINISHED),
            ("note", "train_epoch", default),
        )
        .build()
    )


def test_an_exception_in_an_ordinary_action_reaches_the_user_unchanged(make_trainer):
    def start():
        burr = BurrCallback(run_id="a", machine=lambda: noting_machine(3))
        trainer = make_trainer(burr, max_epochs=3, limit_val_batches=0)
        trainer.fit(ScriptedModule(loss=[1.0]), scripted_loader())

    with pytest.raises(LookupError, match="a broken action") as raised:
        start()
    assert type(raised.value) is LookupError
    run = Run.open("a")
    assert (run.status, run.epoch) == ("failed", 1)
    assert [(step.action, step.failed) for step in run.path][-1] == ("note", True)
    with pytest.raises(LookupError, match="a broken action"):
        start()
    assert Run.open("a").epoch == 1


def test_a_machine_of_ones_own_runs_ordinary_actions_between_phases(make_trainer):
    @action(reads=["epoch"], writes=["notes"])
    def remember(state: State) -> State:
        return state.update(notes=[*state.get("notes", []), state["epoch"]])

    graph = (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), remember=remember, best_model=BestModel())
        .with_transitions(
            ("train_epoch", "remember"), ("remember", "best_model", FINISHED), ("remember", "train_epoch")
        )
        .build()
    )
    for max_epochs in (2, 4):
        burr = BurrCallback(run_id="a", machine=graph)
        trainer = make_trainer(burr, max_epochs=max_epochs)
        trainer.fit(ScriptedModule(val_loss=[1.0]), scripted_loader(), scripted_loader())
    assert burr.state["notes"] == [0, 1, 2, 3]
    assert [step.action for step in burr.run.path].count("best_model") == 2
    assert list(burr.history["val_loss"]) == [1.0] * 4


@pytest.mark.parametrize(
    ("options", "asked_by"),
    [
        ({"stop_when": plateau("val_los", 3)}, "The condition"),
        ({"stop_when": reached("val_loss", 0) | ~plateau("val_los", 3)}, "The condition"),
        ({"monitor": "val_los"}, r"BurrCallback\(monitor='val_los'\)"),
    ],
)
@pytest.mark.parametrize(("every", "epoch"), [(1, 0), (3, 2)])
def test_an_unknown_metric_is_refused_after_the_first_validation(
    make_trainer, options, asked_by, every, epoch
):
    trainer = make_trainer(BurrCallback(**options), max_epochs=9, check_val_every_n_epoch=every)
    expected = rf"{asked_by}.*needs the metric 'val_los'.*Metrics logged so far: val_loss"
    with pytest.raises(UnknownMetricError, match=expected) as error:
        fit(trainer)
    assert error.value.available == ["val_loss"]
    assert trainer.current_epoch == epoch


def test_an_unknown_metric_without_validation_is_refused_after_the_first_epoch(make_trainer):
    trainer = make_trainer(BurrCallback(monitor="val_loss"), max_epochs=9)
    with pytest.raises(UnknownMetricError, match="Metrics logged so far: loss"):
        trainer.fit(ScriptedModule(loss=[1.0]), scripted_loader())
    assert trainer.current_epoch == 0


def test_a_condition_that_fails_is_named_with_the_metrics_that_exist(make_trainer):
    burr = BurrCallback(stop_when=Condition.expr("metrics['val_los'] < 0.1"))
    with pytest.raises(ConditionError, match=r"metrics\['val_los'\] < 0.1.* raised KeyError") as error:
        fit(make_trainer(burr, max_epochs=3))
    assert "val_loss" in error.value.available


def test_any_burr_condition_stops_a_run(make_trainer):
    burr = BurrCallback(stop_when=Condition.expr("metrics.get('val_loss', 1) < 0.45"))
    fit(make_trainer(burr, max_epochs=9))
    assert burr.state["epoch"] == 1
    assert burr.state["stop_reason"] == "metrics.get('val_loss', 1) < 0.45 is true"


@pytest.mark.parametrize(
    "run_id", ["", "a/b", "..", "a..b", "../a", "a\\b", ".hidden", "a b", "x" * 101, "a\n"]
)
def test_a_run_id_that_cannot_name_a_folder_is_refused(run_id):
    with pytest.raises(RunIdError, match="a run id names a folder") as error:
        BurrCallback(run_id=run_id)
    assert error.value.value == run_id
    assert isinstance(error.value, ValueError)


def test_an_empty_run_id_in_the_environment_is_refused_too(monkeypatch):
    monkeypatch.setenv("BURR_LIGHTNING_RUN_ID", "../a")
    with pytest.raises(RunIdError, match=r"'\.\./a'"):
        BurrCallback()


@pytest.mark.parametrize("project", ["", "a/b", "a.b"])
def test_a_project_that_burrs_tracker_cannot_name_is_refused(project):
    with pytest.raises(RunIdError, match="a project names a folder"):
        BurrCallback(project=project)


def graph(*transitions, **actions):
    return GraphBuilder().with_actions(**actions).with_transitions(*transitions).build()


@action(reads=[], writes=["answer"])
def wants(state: State, answer: str) -> State:
    return state.update(answer=answer)


def shadowed():
    default_first = [("train_epoch", "train_epoch"), ("train_epoch", "end", FINISHED)]
    return graph(*default_first, train_epoch=TrainEpoch(), end=BestModel())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"machine": graph(best_model=BestModel())}, "has no train_epoch.*Its actions are best_model"),
        ({"machine": "train"}, "a machine is a Burr Graph"),
        (
            {"machine": graph(train_epoch=TrainEpoch(), lost=BestModel())},
            "no path leads from 'train_epoch', .*to lost",
        ),
        ({"machine": graph(train_epoch=TrainEpoch()), "stop_when": plateau("a")}, "stop_when belongs to"),
        ({"stop_when": lambda state: True}, "must be a Burr condition"),
    ],
)
def test_a_machine_that_cannot_train_is_refused_at_construction(options, message):
    with pytest.raises(MachineError, match=message):
        BurrCallback(**options)


def test_a_machine_without_a_way_on_says_what_lightning_is_doing(make_trainer):
    ends = graph(("train_epoch", "best_model"), train_epoch=TrainEpoch(), best_model=BestModel())
    trainer = make_trainer(BurrCallback(machine=ends), max_epochs=3, min_epochs=2)
    with pytest.raises(MachineError, match=r"ended after 'best_model', and Lightning goes on.*CAN_STOP"):
        fit(trainer)
    stuck = graph(
        ("train_epoch", "best_model", FINISHED),
        ("train_epoch", "validate", Condition.expr("epoch >= 0")),
        train_epoch=TrainEpoch(),
        validate=Validate(),
        best_model=BestModel(),
    )
    trainer = make_trainer(BurrCallback(machine=stuck), max_epochs=3)
    with pytest.raises(
        MachineError, match="After 'train_epoch' the machine goes on to 'validate', and there is nothing"
    ):
        trainer.fit(ScriptedModule(loss=[1.0]), scripted_loader())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoints": 3}, r"BurrCallback\(checkpoints=3\): it must be Checkpoints"),
        (
            {"persister": "x.sqlite"},
            r"persister='x.sqlite'\): it must be a synchronous Burr persister, .*sqlite:///path",
        ),
        ({"tracker": "yes"}, r"tracker='yes'\): it must be True, False, or a tracking client"),
        ({"root_dir": __file__}, "this is a file, not a folder"),
    ],
)
def test_an_argument_of_another_kind_is_refused_at_construction(options, message):
    with pytest.raises(ArgumentError, match=message):
        BurrCallback(**options)


def test_a_mode_is_checked_at_construction():
    with pytest.raises(ValueError, match=r"BurrCallback\(mode=...\): mode must be 'min' or 'max'"):
        BurrCallback(monitor="val_loss", mode="lower")


def test_checkpointing_that_is_switched_off_is_explained():
    with pytest.raises(MisconfigurationException, match=r"BurrCallback\(...\)\]\): this callback commits"):
        Trainer(enable_checkpointing=False, callbacks=[BurrCallback()], logger=False)
    Trainer(enable_checkpointing=False, logger=False)


def test_another_lightning_is_told_what_to_import():
    class Other(pytorch_lightning.LightningModule):
        def training_step(self, batch, batch_idx):
            return self.layer(batch[0]).sum()

        def configure_optimizers(self):
            return None

    module = Other()
    module.layer = torch.nn.Linear(2, 1)
    trainer = pytorch_lightning.Trainer(callbacks=[BurrCallback()], logger=False, accelerator="cpu")
    with pytest.raises(TrainerError, match=r"from lightning\.pytorch import Trainer") as error:
        trainer.fit(module, scripted_loader())
    assert isinstance(error.value, TypeError)


def test_a_tracker_that_cannot_write_says_what_to_give(make_trainer, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    with pytest.raises(BurrLightningError, match="tracker=False"):
        fit(make_trainer(BurrCallback(run_id="a"), max_epochs=1))
    fit(make_trainer(BurrCallback(run_id="a", tracker=False), max_epochs=1))
    assert Run.open("a").status == "finished"
    assert Run.open("a").path == []


def test_before_fit_there_is_nothing_to_read():
    burr = BurrCallback(run_id="a")
    with pytest.raises(RuntimeError, match=r"before trainer\.fit"):
        burr.state  # noqa: B018
    with pytest.raises(RunNotFoundError, match="No run matches 'a'"):
        burr.run  # noqa: B018
    assert burr.best_model_path == ""
    assert burr.last_model_path == ""


def test_a_process_killed_in_an_epoch_leaves_the_run_to_the_next(tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from lightning.pytorch import Trainer
        from burr_lightning import BurrCallback
        from burr_lightning.testing import ScriptedModule, scripted_loader

        class Waits(ScriptedModule):
            def training_step(self, batch, batch_idx):
                if self.current_epoch == 1:
                    print("in epoch 1", flush=True)
                    sys.stdin.read()
                return super().training_step(batch, batch_idx)

        trainer = Trainer(max_epochs=3, callbacks=[BurrCallback(run_id="a")], logger=False, accelerator="cpu",
                          enable_progress_bar=False, enable_model_summary=False)
        trainer.fit(Waits(val_loss=[1.0]), scripted_loader(), scripted_loader())
        """
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", script], text=True, **pipes) as process:
        assert process.stdout.readline() == "in epoch 1\n"
        run = Run.open("a")
        assert (run.status, run.epoch, run.path[-1].ended) == ("running", 0, None)
        process.send_signal(signal.SIGKILL)
    run = Run.open("a")
    assert (run.status, run.epoch) == ("interrupted", 0)
