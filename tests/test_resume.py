"""The same script run again goes on with the run; nothing else has to be changed."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from burr.core.graph import GraphBuilder
from burr.core.persistence import InMemoryPersister
from digits import DigitNet, digit_loaders, weights_hash
from lightning.pytorch import seed_everything

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.actions import BestModel, TrainEpoch
from burr_lightning.conditions import plateau, reached
from burr_lightning.errors import DataChangedError, ResumeError, RunLockedError
from burr_lightning.locks import RunLock
from burr_lightning.machines import FINISHED, default_machine
from burr_lightning.testing import ScriptedModule, scripted_loader


def fit(make_trainer, burr, max_epochs, module=None, samples=512, **options):
    seed_everything(1)
    trainer = make_trainer(burr, max_epochs=max_epochs)
    trainer.fit(module or DigitNet(), *digit_loaders(samples), **options)
    return trainer


def actions(run):
    return [step.action for step in run.path]


def test_a_run_killed_half_way_reaches_best_model_from_the_same_script(tmp_path, make_trainer):
    script = tmp_path / "train.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal, sys
            sys.path.insert(0, sys.argv[1])
            from digits import DigitNet, digit_loaders, weights_hash
            from lightning.pytorch import Callback, Trainer, seed_everything
            from burr_lightning import BurrCallback

            class KilledAt(Callback):
                def on_train_batch_end(self, trainer, *_):
                    if trainer.global_step == int(sys.argv[2]):
                        os.kill(os.getpid(), signal.SIGKILL)

            seed_everything(1)
            burr = BurrCallback(run_id="killed", monitor="val_loss")
            trainer = Trainer(max_epochs=5, callbacks=[KilledAt(), burr], accelerator="cpu", logger=False,
                              enable_progress_bar=False, enable_model_summary=False)
            trainer.fit(DigitNet(), *digit_loaders())
            print(weights_hash(trainer.lightning_module), trainer.global_step)
            """
        )
    )

    def start(kill_at):
        command = [sys.executable, str(script), str(Path(__file__).parent), str(kill_at)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    first = start(kill_at=20)
    assert first.returncode == -signal.SIGKILL
    run = Run.open("killed")
    assert (run.status, run.epoch) == ("interrupted", 1)

    second = start(kill_at=-1)
    assert second.returncode == 0, second.stderr
    assert "goes on after epoch 1" in second.stderr
    run = Run.open("killed")
    assert run.status == "finished"
    assert run.position == "best_model"
    assert actions(run) == ["process_data", *["train_epoch", "validate"] * 5, "best_model"]
    assert [step.epoch for step in run.path if step.action == "validate"] == [0, 1, 2, 3, 4]

    whole = fit(make_trainer, BurrCallback(run_id="whole", monitor="val_loss"), max_epochs=5)
    assert second.stdout.split() == [weights_hash(whole.lightning_module), str(whole.global_step)]
    assert Run.open("whole").history == run.history


@pytest.mark.parametrize("first", [1, 2, 3])
def test_a_run_continued_with_a_higher_limit_ends_as_one_that_had_it_from_the_start(first, make_trainer):
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=first)
    assert Run.open("a").stop_reason == f"max_epochs={first} was reached"
    continued = fit(make_trainer, BurrCallback(run_id="a"), max_epochs=4)
    whole = fit(make_trainer, BurrCallback(run_id="b"), max_epochs=4)
    assert weights_hash(continued.lightning_module) == weights_hash(whole.lightning_module)
    assert continued.global_step == whole.global_step
    assert continued.optimizers[0].param_groups[0]["lr"] == whole.optimizers[0].param_groups[0]["lr"]
    assert Run.open("a").history == Run.open("b").history
    assert Run.open("a").stop_reason == "max_epochs=4 was reached"


def test_a_finished_run_says_so_and_does_not_train_again(make_trainer, caplog):
    trained = fit(make_trainer, BurrCallback(run_id="a", monitor="val_loss"), max_epochs=2)
    before = Run.open("a")
    caplog.clear()
    burr = BurrCallback(run_id="a", monitor="val_loss")
    trainer = fit(make_trainer, burr, max_epochs=2)
    said = caplog.text
    assert "Run 'a' of project 'lightning' is finished and is not trained again" in said
    assert "max_epochs=2 was reached" in said
    assert "raise the limit" in said
    assert "another run_id" in said
    assert trainer.global_step == before.state["global_step"]
    assert trainer.callback_metrics == trained.callback_metrics != {}
    assert actions(Run.open("a")) == actions(before)
    assert burr.state["best"] == before.best
    assert burr.best_model_path == str(before.best_checkpoint)
    trainer.test(DigitTest(), digit_loaders()[1], ckpt_path="best", verbose=False)


class DigitTest(DigitNet):
    def test_step(self, batch, batch_idx):
        self.validation_step(batch, batch_idx)


def test_a_finished_run_gives_the_module_its_last_weights(make_trainer):
    trained = fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2).lightning_module
    again = fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2).lightning_module
    assert weights_hash(again) == weights_hash(trained)


def scripted(make_trainer, burr, losses, max_epochs=20):
    trainer = make_trainer(burr, max_epochs=max_epochs)
    trainer.fit(ScriptedModule(val_loss=losses), scripted_loader(), scripted_loader())


def test_a_run_that_a_condition_ended_goes_on_when_the_condition_is_relaxed(make_trainer):
    losses = [0.5, 0.6, 0.7, 0.4, 0.3, 0.2]
    scripted(make_trainer, BurrCallback(run_id="a", stop_when=plateau("val_loss", 2)), losses)
    assert Run.open("a").epoch == 2
    scripted(make_trainer, BurrCallback(run_id="a", stop_when=plateau("val_loss", 2)), losses)
    assert Run.open("a").epoch == 2
    scripted(make_trainer, BurrCallback(run_id="a", stop_when=reached("val_loss", 0.2)), losses)
    run = Run.open("a")
    assert run.epoch == 5
    assert run.stop_reason == "reached(val_loss, 0.2): 0.2 <= 0.2 (epoch 5)"
    assert list(run.history["val_loss"]) == losses


def test_a_run_killed_between_its_last_epoch_and_best_model_ends_without_training(make_trainer, monkeypatch):
    def killed(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BestModel, "run", killed)
        with pytest.raises(SystemExit):
            fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2)
    run = Run.open("a")
    assert (run.status, run.epoch, run.position) == ("interrupted", 1, "validate")
    trainer = fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2)
    run = Run.open("a")
    assert (run.status, run.epoch, run.position) == ("finished", 1, "best_model")
    assert trainer.global_step == 16
    assert run.stop_reason == "max_epochs=2 was reached"


def test_max_steps_is_resumed_without_a_batch_too_many(make_trainer):
    def stepwise(run_id, *limits):
        for max_steps in limits:
            seed_everything(1)
            burr = BurrCallback(run_id=run_id)
            trainer = make_trainer(burr, max_epochs=-1, max_steps=max_steps, check_val_every_n_epoch=3)
            trainer.fit(DigitNet(), *digit_loaders())
        return trainer

    resumed, whole = stepwise("a", 16, 28), stepwise("b", 28)
    assert resumed.global_step == whole.global_step == 28
    assert resumed.current_epoch == whole.current_epoch
    assert weights_hash(resumed.lightning_module) == weights_hash(whole.lightning_module)
    assert Run.open("a").history == Run.open("b").history


def test_other_data_is_refused_by_name(make_trainer):
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1)
    with pytest.raises(DataChangedError, match=r"Run 'a'.*train data 0, samples: was 512, is 448") as error:
        fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2, samples=448)
    assert error.value.changes["train data 0, samples"] == (512, 448)
    assert Run.open("a").epoch == 0
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2)
    assert Run.open("a").epoch == 1


def test_the_fingerprint_moves_no_generator(make_trainer, monkeypatch):
    with_it = fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1).lightning_module
    monkeypatch.setattr("burr_lightning.fingerprint.data_fingerprint", lambda trainer: None)
    without = fit(make_trainer, BurrCallback(run_id="b"), max_epochs=1).lightning_module
    assert weights_hash(with_it) == weights_hash(without)


def test_the_callback_changes_nothing_about_the_training(make_trainer):
    seed_everything(1)
    plain = make_trainer(max_epochs=3, enable_checkpointing=False)
    plain.fit(DigitNet(), *digit_loaders())
    ours = fit(make_trainer, BurrCallback(monitor="val_loss"), max_epochs=3)
    assert weights_hash(ours.lightning_module) == weights_hash(plain.lightning_module)


def test_fit_with_a_ckpt_path_starts_a_run_but_does_not_mix_with_one_that_exists(make_trainer):
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2)
    checkpoint = Run.open("a").last_checkpoint
    with pytest.raises(ResumeError, match="the run 'a' exists and goes on from its own last commit"):
        fit(make_trainer, BurrCallback(run_id="a"), max_epochs=3, ckpt_path=checkpoint)
    burr = BurrCallback(run_id="b")
    fit(make_trainer, burr, max_epochs=4, ckpt_path=checkpoint)
    assert burr.state["epoch"] == 3
    assert [step.epoch for step in burr.run.path if step.action == "validate"] == [2, 3]
    assert [str(loss) for loss in burr.history["val_loss"]][:2] == ["nan", "nan"]


def test_a_machine_that_lacks_the_action_a_run_stopped_after_is_refused(make_trainer):
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1)
    other = GraphBuilder().with_actions(train_epoch=TrainEpoch())
    with pytest.raises(ResumeError, match="'best_model', and the machine has none of that name"):
        fit(make_trainer, BurrCallback(run_id="a", machine=other.build()), max_epochs=2)


def test_a_damaged_checkpoint_is_told_and_an_older_one_used(make_trainer, caplog):
    fit(make_trainer, BurrCallback(run_id="a", checkpoints=Checkpoints(keep_last=3)), max_epochs=3)
    newest = Run.open("a").last_checkpoint
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(bytes(data))
    caplog.clear()
    burr = BurrCallback(run_id="a")
    resumed = fit(make_trainer, burr, max_epochs=4)
    said = caplog.text
    assert "epoch 2: checkpoints/" in said
    assert "is damaged; it cannot be used" in said
    assert "goes on after epoch 1" in said
    whole = fit(make_trainer, BurrCallback(run_id="b"), max_epochs=4)
    assert weights_hash(resumed.lightning_module) == weights_hash(whole.lightning_module)
    assert burr.history == Run.open("b").history
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=5)
    assert Run.open("a").epoch == 4


def test_a_run_of_which_no_checkpoint_is_left_is_not_begun_anew(make_trainer):
    machine = (
        GraphBuilder()
        .with_actions(train_epoch=TrainEpoch(), best_model=BestModel())
        .with_transitions(("train_epoch", "best_model", FINISHED), ("train_epoch", "train_epoch"))
    )
    fit(make_trainer, BurrCallback(run_id="a", machine=machine.build()), max_epochs=2)
    for checkpoint in (Run.open("a").folder / "checkpoints").iterdir():
        checkpoint.unlink()
    with pytest.raises(
        ResumeError, match=r"Run 'a' has no commit that can be used \(.*is missing; .*is missing"
    ):
        fit(make_trainer, BurrCallback(run_id="a", machine=machine.build()), max_epochs=3)
    assert len(Run.open("a").history) == 2


class Unsafe(DigitNet):
    def on_save_checkpoint(self, checkpoint):
        checkpoint["extra"] = Path("anything")


def test_checkpoints_load_without_unpickling_code_unless_the_module_puts_some_in(make_trainer, caplog):
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1)
    stored = torch.load(Run.open("a").last_checkpoint, weights_only=True)
    assert stored["epoch"] == 0
    fit(make_trainer, BurrCallback(run_id="b"), max_epochs=1, module=Unsafe())
    with caplog.at_level("WARNING"):
        trainer = fit(make_trainer, BurrCallback(run_id="b"), max_epochs=2, module=Unsafe())
    assert "loaded with weights_only=False" in caplog.text
    assert trainer.global_step == 16


def test_any_persister_carries_a_run(make_trainer):
    persister = InMemoryPersister()
    fit(make_trainer, BurrCallback(run_id="a", persister=persister), max_epochs=2)
    resumed = fit(make_trainer, BurrCallback(run_id="a", persister=persister), max_epochs=3)
    whole = fit(make_trainer, BurrCallback(run_id="b"), max_epochs=3)
    assert weights_hash(resumed.lightning_module) == weights_hash(whole.lightning_module)
    assert persister.list_app_ids("lightning") == ["a"]
    assert Run.open("a").state is None
    assert Run.open("a", persister=persister).epoch == 2


def test_a_second_process_is_refused_and_told_who_the_first_is(make_trainer):
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=1)
    lock = RunLock(Run.open("a").folder / "lock", "a")
    lock.acquire()
    assert Run.open("a").status == "running"
    with pytest.raises(RunLockedError, match=f"process {os.getpid()} on"):
        fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2)
    lock.release()
    fit(make_trainer, BurrCallback(run_id="a"), max_epochs=2)
    assert Run.open("a").epoch == 1


def test_the_environment_can_name_the_run_and_its_home(make_trainer, monkeypatch, tmp_path):
    monkeypatch.setenv("BURR_LIGHTNING_RUN_ID", "from-the-environment")
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "elsewhere"))
    fit(make_trainer, BurrCallback(), max_epochs=1)
    run = Run.open("from-the-environment", root_dir=tmp_path / "elsewhere")
    assert run.epoch == 0
    assert (tmp_path / "elsewhere" / "state.sqlite").exists()


def test_the_default_machine_can_be_given_by_hand(make_trainer):
    machine = default_machine(plateau("val_loss", 1))
    burr = BurrCallback(machine=machine)
    scripted(make_trainer, burr, [0.5, 0.6])
    assert burr.state["epoch"] == 1
    burr = BurrCallback(machine=lambda: machine)
    scripted(make_trainer, burr, [0.5, 0.4, 0.6])
    assert burr.state["epoch"] == 2
