"""Uses that are odd, and legitimate."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest
import torch
from burr.core import State, action
from burr.core.graph import GraphBuilder
from burr.lifecycle.base import PostRunStepHook
from lightning.pytorch.callbacks import Callback, LearningRateFinder
from lightning.pytorch.tuner import Tuner
from looks import walked
from torchmetrics.classification import BinaryAccuracy

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.actions import BestModel, ProcessData, TrainEpoch
from burr_lightning.conditions import plateau, reached
from burr_lightning.errors import BurrLightningError, DataChangedError, RunLockedError, UnknownMetricError
from burr_lightning.locks import RunLock, is_held
from burr_lightning.machines import FINISHED
from burr_lightning.state import short
from burr_lightning.testing import ScriptedModule, scripted_loader


def fit(make_trainer, burr, module=None, **options):
    trainer = make_trainer(burr, **options)
    trainer.fit(module or ScriptedModule(val_loss=[0.5, 0.4, 0.3]), scripted_loader(), scripted_loader())
    return trainer


def test_rows_stay_small_with_validation_inside_the_epoch(make_trainer, own_home):
    script = {f"metric_{number}": [1 / (line + 1) for line in range(100)] for number in range(10)}
    burr = BurrCallback(run_id="a", monitor="metric_0", stop_when=plateau("metric_1", 1000))
    fit(make_trainer, burr, ScriptedModule(**script), max_epochs=40, val_check_interval=0.5)
    with sqlite3.connect(own_home / "runs" / "state.sqlite") as database:
        [(largest,)] = database.execute("SELECT max(length(state)) FROM burr_state")
    assert largest <= 4096
    assert burr.history.progress("metric_1", "min").checks == 80
    assert Run.open("a").history == burr.history


def test_the_best_epoch_is_the_one_whose_checkpoint_is_kept(make_trainer):
    values = [0.1, 0.9, 0.5, 0.5, 0.6, 0.6, 0.7, 0.7]
    burr = BurrCallback(run_id="a", monitor="val_loss")
    fit(make_trainer, burr, ScriptedModule(val_loss=values), max_epochs=4, val_check_interval=0.5)
    assert (burr.state["best"]["epoch"], burr.state["best"]["value"]) == (1, 0.5)
    assert "epoch=00001" in burr.best_model_path
    assert os.path.exists(burr.best_model_path)


def test_an_epoch_cut_short_for_nothing_is_told(make_trainer, caplog):
    class Undecided(ScriptedModule):
        def on_train_epoch_end(self):
            self.log("val_loss", 9.0)

    burr = BurrCallback(stop_when=reached("val_loss", 0.5, mode="min"))
    fit(make_trainer, burr, Undecided(val_loss=[0.4]), max_epochs=3, val_check_interval=1)
    assert caplog.text.count("was cut short after a validation") == 2
    assert burr.state["stop_reason"] == "max_epochs=3 was reached"


def test_a_lock_does_not_outlive_its_holder_in_a_forked_process(tmp_path):
    script = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from burr_lightning.locks import RunLock
        lock = RunLock(Path(sys.argv[1]), "a")
        lock.acquire()
        if os.fork() == 0:
            print("forked", flush=True)
            sys.stdin.read()
            os._exit(0)
        os.wait()
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "forked\n"
        assert is_held(tmp_path / "lock")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_held(tmp_path / "lock")


def test_a_run_that_the_tuner_left_can_be_trained(make_trainer):
    module = ScriptedModule(val_loss=[0.5])
    module.lr = 0.01
    burr = BurrCallback(run_id="a")
    trainer = make_trainer(burr, max_epochs=2)
    data = {"train_dataloaders": scripted_loader(), "val_dataloaders": scripted_loader()}
    Tuner(trainer).lr_find(module, **data, num_training=3)
    trainer.fit(module, **data)
    assert Run.open("a").status == "finished"
    assert walked(burr) == ["process_data", *["train_epoch", "validate"] * 2, "best_model"]


def test_a_run_beside_a_learning_rate_finder_can_be_resumed(make_trainer):
    class Found(ScriptedModule):
        lr = 0.01

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=self.lr)

    for max_epochs in (2, 4):
        burr = BurrCallback(run_id="a")
        trainer = make_trainer(LearningRateFinder(num_training_steps=3), burr, max_epochs=max_epochs)
        trainer.fit(Found(val_loss=[0.5, 0.4, 0.3, 0.2]), scripted_loader(), scripted_loader())
    epochs = ["train_epoch", "validate"]
    assert walked(burr) == ["process_data", *epochs, *epochs, "best_model", *epochs, *epochs, "best_model"]
    assert list(burr.history["val_loss"]) == [0.5, 0.4, 0.3, 0.2]
    assert trainer.global_step == 16


class FailsInSetup(ScriptedModule):
    def setup(self, stage):
        if stage == "fit":
            raise ConnectionAbortedError


def test_what_follows_a_fit_that_failed_in_its_setup_does_not_begin_from_the_commit(make_trainer):
    fit(make_trainer, BurrCallback(run_id="a", tracker=False), max_epochs=1)
    module = FailsInSetup(val_loss=[0.5])
    before = module.layer.weight.clone()
    trainer = make_trainer(BurrCallback(run_id="a", tracker=False), max_epochs=2)
    with pytest.raises(ConnectionAbortedError):
        trainer.fit(module, scripted_loader(), scripted_loader())
    trainer.validate(module, scripted_loader(), verbose=False)
    assert torch.equal(module.layer.weight, before)


def test_a_burr_hook_that_raises_does_not_keep_the_run(make_trainer):
    class Raises(PostRunStepHook):
        def post_run_step(self, **future_kwargs):
            raise ArithmeticError("a broken hook")

    with pytest.raises(ArithmeticError, match="a broken hook"):
        fit(make_trainer, BurrCallback(run_id="a", hooks=[Raises()]), max_epochs=2)
    assert Run.open("a").status == "failed"
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2)
    assert Run.open("a").status == "finished"


class TwoLoaders(ScriptedModule):
    def __init__(self, **script):
        super().__init__(**script)
        self.accuracies = torch.nn.ModuleList([BinaryAccuracy(), BinaryAccuracy()])
        self.train_acc = BinaryAccuracy()

    def training_step(self, batch, batch_idx):
        self.train_acc(torch.ones(2), torch.tensor([1, 0]))
        self.log("train_acc", self.train_acc, on_step=True, on_epoch=True)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.accuracies[dataloader_idx](torch.ones(2), torch.tensor([1, 0]))
        self.log("val_acc", self.accuracies[dataloader_idx])


def test_a_declared_direction_holds_under_every_name_that_lightning_makes_of_one(make_trainer):
    stop = reached("val_acc/dataloader_idx_0", 0.98) | reached("train_acc_epoch", 0.98)
    burr = BurrCallback(monitor="val_acc/dataloader_idx_1", stop_when=stop)
    trainer = make_trainer(burr, max_epochs=2)
    trainer.fit(TwoLoaders(val_loss=[1.0]), scripted_loader(), [scripted_loader(), scripted_loader()])
    assert burr.state["stop_reason"] == "max_epochs=2 was reached"
    names = ["val_acc/dataloader_idx_0", "val_acc/dataloader_idx_1", "train_acc", "train_acc_epoch"]
    assert {name: burr.history.direction(name) for name in names} == dict.fromkeys(names, "max")


@action(reads=[], writes=["warm"])
def warm(state: State, pl_module) -> State:
    torch.nn.init.constant_(pl_module.layer.weight, 3.0)
    return state.update(warm=True)


class FailsOnce(ScriptedModule):
    fails = True

    def training_step(self, batch, batch_idx):
        if self.fails and batch_idx == 2:
            raise ValueError("once")
        return super().training_step(batch, batch_idx)


def test_an_action_that_changed_the_module_before_the_first_epoch_runs_again(make_trainer):
    machine = (
        GraphBuilder()
        .with_actions(process_data=ProcessData(), warm=warm, train_epoch=TrainEpoch(), best_model=BestModel())
        .with_transitions(
            ("process_data", "warm"),
            ("warm", "train_epoch"),
            ("train_epoch", "best_model", FINISHED),
            ("train_epoch", "train_epoch"),
        )
        .build()
    )
    with pytest.raises(ValueError, match="once"):
        fit(make_trainer, BurrCallback(run_id="a", machine=machine), FailsOnce(val_loss=[1.0]), max_epochs=2)
    assert Run.open("a").position == "process_data"
    burr = BurrCallback(run_id="a", machine=machine)
    module = ScriptedModule(val_loss=[1.0])
    fit(make_trainer, burr, module, max_epochs=2)
    assert walked(burr)[:3] == ["process_data", "warm", "train_epoch"]
    assert module.layer.weight.min() > 1


@action(reads=[], writes=["halved"])
def halve(state: State, pl_module) -> State:
    with torch.no_grad():
        pl_module.layer.weight.mul_(0.5)
    return state.update(halved=True)


def test_an_action_that_changes_the_module_is_followed_by_a_commit_of_its_own(make_trainer):
    machine = (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), halve=halve, best_model=BestModel())
        .with_transitions(
            ("train_epoch", "halve"), ("halve", "best_model", FINISHED), ("halve", "train_epoch")
        )
        .build()
    )
    burr = BurrCallback(run_id="a", machine=machine)
    module = ScriptedModule(val_loss=[1.0])
    fit(make_trainer, burr, module, max_epochs=1)
    stored = torch.load(Run.open("a").last_checkpoint, weights_only=True)["state_dict"]["layer.weight"]
    assert torch.equal(stored, module.layer.weight.detach())


def test_runs_of_one_name_in_two_places_never_mix(make_trainer, tmp_path):
    def train(place, max_epochs):
        fit(make_trainer, BurrCallback(run_id="a", root_dir=tmp_path / place), max_epochs=max_epochs)
        return [
            step.epoch for step in Run.open("a", root_dir=tmp_path / place).path if step.epoch is not None
        ]

    assert train("one", 2) == [0, 0, 1, 1]
    assert train("two", 1) == [0, 0]
    assert train("one", 4) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert Run.open("a", root_dir=tmp_path / "one").history.checks == 4


def test_a_run_of_the_same_name_that_is_being_trained_elsewhere_is_left_alone(make_trainer, tmp_path):
    fit(make_trainer, BurrCallback(run_id="a", root_dir=tmp_path / "one"), max_epochs=1)
    lock = RunLock(tmp_path / "one" / "lightning" / "a" / "lock", "a")
    lock.acquire()
    with pytest.raises(RunLockedError, match=f"another process, from {tmp_path / 'one'}"):
        fit(make_trainer, BurrCallback(run_id="a", root_dir=tmp_path / "two"), max_epochs=1)
    lock.release()
    assert len(Run.open("a", root_dir=tmp_path / "one").path) == 4


class Listens(Callback):
    started = False

    def on_train_start(self, trainer, pl_module):
        self.started = True


@pytest.mark.parametrize("max_epochs", [1, 3, 9])
def test_a_finished_run_stays_finished_under_any_limit_and_starts_no_training(make_trainer, max_epochs):
    stop = plateau("val_loss", 2)
    module = ScriptedModule(val_loss=[0.5, 0.6, 0.7])
    fit(make_trainer, BurrCallback(run_id="a", stop_when=stop), module, max_epochs=9)
    assert Run.open("a").epoch == 2
    listener = Listens()
    trainer = make_trainer(listener, BurrCallback(run_id="a", stop_when=stop), max_epochs=max_epochs)
    trainer.fit(ScriptedModule(val_loss=[0.1]), scripted_loader(), scripted_loader())
    assert not listener.started
    assert (Run.open("a").status, Run.open("a").epoch) == ("finished", 2)


def test_an_interrupted_run_with_fewer_epochs_ends_at_once(make_trainer):
    with pytest.raises(ValueError, match="third"):
        fit(make_trainer, BurrCallback(run_id="a"), FailsInThird(val_loss=[0.5]), max_epochs=9)
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1)
    run = Run.open("a")
    assert (run.status, run.epoch, run.stop_reason) == ("finished", 1, "max_epochs=1 was reached")


class FailsInThird(ScriptedModule):
    def training_step(self, batch, batch_idx):
        if self.current_epoch == 2:
            raise ValueError("third")
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize(
    ("first", "then", "best"),
    [
        ({"monitor": "a"}, {}, None),
        ({"monitor": "a"}, {"monitor": "b"}, (2, 0.1)),
        ({"monitor": "a"}, {"monitor": "a", "mode": "max"}, (2, 0.9)),
        ({}, {"monitor": "a"}, (0, 0.2)),
    ],
)
def test_another_monitored_metric_at_a_resume_finds_its_own_best(make_trainer, first, then, best):
    script = {"a": [0.2, 0.5, 0.9], "b": [0.9, 0.5, 0.1]}
    keep = Checkpoints(keep_last=9)
    burr = BurrCallback(run_id="a", checkpoints=keep, **first)
    with pytest.raises(KeyError, match="late"):
        fit(make_trainer, burr, FailsLate(**script), max_epochs=9)
    burr = BurrCallback(run_id="a", checkpoints=keep, **then)
    fit(make_trainer, burr, ScriptedModule(**script), max_epochs=3)
    run = Run.open("a")
    if best is None:
        assert run.best["value"] is None
    else:
        assert (run.best["epoch"], run.best["value"]) == best
        assert f"epoch={best[0]:05d}" in run.best_checkpoint.name


class FailsLate(ScriptedModule):
    def training_step(self, batch, batch_idx):
        if self.current_epoch == 3:
            raise KeyError("late")
        return super().training_step(batch, batch_idx)


def test_a_best_checkpoint_that_is_not_kept_is_said_to_be_gone(make_trainer, caplog):
    burr = BurrCallback(run_id="a", monitor="val_loss", checkpoints=Checkpoints(keep_last=1, keep_best=0))
    fit(make_trainer, burr, ScriptedModule(val_loss=[0.1, 0.5, 0.6]), max_epochs=3)
    assert "(not kept: Checkpoints(keep_best=0))" in caplog.text
    assert burr.best_model_path == ""


@pytest.mark.parametrize("options", [{"max_epochs": 0}, {"max_epochs": 2, "limit_train_batches": 0}])
def test_a_run_with_nothing_to_train_says_so(make_trainer, options, caplog):
    fit(make_trainer, BurrCallback(run_id="a"), **options)
    assert "ended before its first epoch: Lightning had nothing to train" in caplog.text
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1)
    assert Run.open("a").epoch == 0


def test_what_is_no_number_is_no_metric(make_trainer):
    class LogsOddly(ScriptedModule):
        def on_train_epoch_end(self):
            self.trainer.callback_metrics["complex"] = torch.tensor(1j)
            self.trainer.callback_metrics["text"] = "a"
            self.trainer.callback_metrics["plain"] = 2.0

    burr = BurrCallback()
    fit(make_trainer, burr, LogsOddly(val_loss=[0.5]), max_epochs=1)
    assert burr.history.names == ["val_loss", "plain"]


def test_long_hyperparameters_are_cut_and_new_ones_taken(make_trainer):
    class Configured(ScriptedModule):
        def __init__(self, width, numbers, **script):
            super().__init__(**script)
            self.save_hyperparameters("width", "numbers")

    numbers = list(range(100_000))
    fit(make_trainer, BurrCallback(run_id="a"), Configured(1, numbers, val_loss=[0.5]), max_epochs=1)
    stored = Run.open("a").state["hparams"]
    assert stored["width"] == 1
    assert stored["numbers"][200:].startswith("... (688890 characters, sha256 ")
    assert len(stored["numbers"]) < 250
    assert short({**stored, "width": 2})["numbers"] == stored["numbers"]  # as when a human changes the other
    fit(make_trainer, BurrCallback(run_id="a"), Configured(2, [], val_loss=[0.5]), max_epochs=2)
    assert Run.open("a").state["hparams"] == {"width": 2, "numbers": []}


@pytest.mark.parametrize(
    "error",
    [
        UnknownMetricError("a", ["b"], "The condition"),
        RunLockedError("a", "process 1"),
        DataChangedError("a", {"train": (1, 2)}),
    ],
)
def test_an_error_comes_back_whole_from_another_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, BurrLightningError)
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)


def test_a_commit_is_flushed_to_the_disk(make_trainer, monkeypatch):
    flushed = []
    fsync = os.fsync

    def counted(descriptor):
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1)
    folder = str(Run.open("a").folder / "checkpoints")
    assert [path for path in flushed if path == folder]
    assert [path for path in flushed if path.startswith(f"{folder}/.epoch=00000")]


def test_a_row_names_the_tracker_even_after_a_start_without_it(make_trainer):
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1)
    fit(make_trainer, BurrCallback(run_id="a", tracker=False), max_epochs=2)
    assert len(Run.open("a").path) == 4
