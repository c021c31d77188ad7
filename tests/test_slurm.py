"""A job that SLURM queues again goes on with its run to the same bits, whatever Lightning has left there."""

import math
import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
import slurm_jobs
import torch
from digits import DigitNet, weights_hash
from exactness import SEED
from forks import tell
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.callbacks import OnExceptionCheckpoint
from lightning.pytorch.plugins.environments import SLURMEnvironment
from ranked import Training
from slurm_jobs import Job, asked

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.testing import ScriptedModule, scripted_loader

TERMINATED = 128 + signal.SIGTERM
LEFT_OUT = "hpc_ckpt_7.ckpt, which Lightning would take by itself, is left out"


def saves_inside_epochs():
    return {"checkpoints": Checkpoints(every_n_steps=100)}


INSIDE = Training(callback=saves_inside_epochs, stateful=True, trainer={"accumulate_grad_batches": 2})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """How the training ends as a job that nothing happens to, trained once by each number of tasks."""
    known = {}

    def ends(tasks):
        with pytest.MonkeyPatch.context() as patch:
            folder = tmp_path_factory.mktemp("undisturbed")
            patch.chdir(folder)
            patch.setenv("BURR_LIGHTNING_HOME", str(folder))
            if tasks not in known:
                known[tasks] = Job(tasks, INSIDE).finishes()
        return known[tasks]

    return ends


@pytest.fixture
def left_by_lightning(make_trainer):
    """What Lightning itself has left of an earlier training that was queued again."""
    trainer = make_trainer(max_epochs=3, enable_checkpointing=False)
    trainer.fit(ScriptedModule(val_loss=[0.5]), scripted_loader())
    trainer.save_checkpoint("hpc_ckpt_7.ckpt")
    return Path("hpc_ckpt_7.ckpt").absolute()


class TestQueuedAgain:
    @pytest.mark.parametrize(("tasks", "told"), [(1, [0]), (2, [1])], ids=["one-task", "one-of-two"])
    def test_after_sigusr1_it_goes_on_to_the_same_bits(self, tasks, told, undisturbed, left_by_lightning):
        job = Job(tasks, INSIDE)
        job.starts(event=(told, 1, 2, "SIGUSR1"))
        statuses, _ = job.ends()
        assert statuses == [TERMINATED] * tasks, job.printed
        assert asked() == ["requeue 4711"]
        assert any(name.endswith("-batch=0000003.ckpt") for name in job.found)  # which was made before
        assert job.finishes() == undisturbed(tasks)
        assert [*Path().glob("hpc_ckpt_*")] == [Path(left_by_lightning.name)]
        assert job.printed.count(LEFT_OUT) == 1

    def test_after_sigterm_in_a_validation_it_goes_on_to_the_same_bits(self, undisturbed):
        job = Job(1, INSIDE.but(module=ToldInValidation))
        job.starts()
        assert job.ends()[0] == [TERMINATED], job.printed
        assert "ended in validate" in job.printed
        assert job.finishes() == undisturbed(1)

    @pytest.mark.long
    @pytest.mark.parametrize("tasks", [1, 2])
    @pytest.mark.parametrize("by_lightning", [True, False], ids=["auto-requeue", "by-the-scheduler"])
    @pytest.mark.parametrize("seed", range(3))
    def test_whatever_signals_come_at_any_instant(self, tasks, by_lightning, seed, undisturbed):
        drawn, numbers = random.Random(seed), [signal.SIGTERM, *[signal.SIGUSR1] * by_lightning]
        environment = SLURMEnvironment(auto_requeue=by_lightning)
        job = Job(
            tasks, INSIDE.but(module=TellsOfTraining, trainer={**INSIDE.trainer, "plugins": environment})
        )
        for _ in range(8):
            job.starts()
            with suppress(EOFError):
                job.children[0].waits_for("training")
                time.sleep(drawn.uniform(0, 0.6))  # to be at an instant that nobody knows
            job.send(drawn.choice(numbers), drawn.choice([range(tasks), [tasks - 1]]))
            if drawn.random() < 0.3:
                job.send(signal.SIGKILL, range(tasks))  # the grace time is over
            job.ends()
        endings = job.finishes()
        for key in ("weights", "optimizer", "history", "epoch", "stop_reason"):
            assert [ending[key] for ending in endings] == [ending[key] for ending in undisturbed(tasks)]
        assert not [*Path().glob("hpc_ckpt_*")]


class ToldInValidation(DigitNet):
    """Is told to end in the first of two batches of a validation, the first time that it is trained."""

    def validation_step(self, batch, batch_idx):
        super().validation_step(batch, batch_idx)
        if self.current_epoch == 1 and not Path("told").exists():
            Path("told").touch()
            os.kill(os.getpid(), signal.SIGTERM)


class TellsOfTraining(DigitNet):
    def on_train_start(self):
        tell("training")


class Does(Callback):
    """Does something once in each of these epochs, in a hook."""

    def __init__(self, act, hook, *epochs):
        self._act, self._epochs = act, [*epochs]
        setattr(self, hook, self._act_once)

    def _act_once(self, trainer, *rest):
        if trainer.current_epoch in self._epochs and not trainer.sanity_checking:
            self._epochs.remove(trainer.current_epoch)
            self._act()


class Looks(Callback):
    """Looks for what was asked of ``scontrol``, whenever one of these hooks is called."""

    def __init__(self, *hooks):
        self.found = []
        for hook in hooks:
            setattr(self, hook, lambda *_: self.found.append(asked()))


def hears(hook, *epochs):
    return Does(lambda: os.kill(os.getpid(), signal.SIGUSR1), hook, *epochs)


@pytest.fixture
def train(monkeypatch, make_trainer):
    """Trains in this process, as the one task of a job."""
    path = slurm_jobs.install_scontrol()
    for name, value in {**slurm_jobs.variables(0, 1), "PATH": path}.items():
        monkeypatch.setenv(name, value)

    def training(*callbacks, run_id="one", ckpt_path=None, epochs=3):
        seed_everything(SEED, verbose=False)
        trainer = make_trainer(*callbacks, BurrCallback(run_id, tracker=False), max_epochs=epochs)
        module = ScriptedModule(val_loss=[0.5, 0.4, 0.3])
        trainer.fit(module, scripted_loader(), scripted_loader(), ckpt_path=ckpt_path)
        return weights_hash(module)

    return training


class TestAsking:
    def test_in_training_it_is_asked_for_after_the_batch(self, train):
        looks = Looks("on_train_batch_end", "on_train_batch_start")
        train(hears("on_train_batch_start", 1), looks)
        after_4_batches = looks.found[8:]
        assert after_4_batches[:3] == [[], [], ["requeue 4711"]]
        assert asked() == ["requeue 4711"]

    def test_in_a_validation_it_is_asked_for_at_once(self, train):
        looks = Looks("on_validation_batch_start")
        train(hears("on_validation_start", 1), looks)
        assert looks.found[-8:] == [["requeue 4711"]] * 8

    def test_where_it_is_refused_that_is_told_and_a_later_signal_asks_again(self, train, caplog):
        Path("refuses").touch()
        train(hears("on_train_batch_start", 0, 1), Does(Path("refuses").unlink, "on_validation_start", 1))
        assert asked() == ["requeue 4711"] * 2
        told = [line for line in caplog.messages if "scontrol" in line]
        assert (
            told
            == [
                "scontrol requeue 4711: Job is held. The job was not queued again.",
            ]
            * 2
        )
        assert Run.open("one").status == "finished"

    def test_a_machine_without_scontrol_is_told_of(self, train, caplog, monkeypatch):
        monkeypatch.setenv("PATH", "")
        train(hears("on_train_batch_start", 0))
        assert "The job was not queued again" in caplog.text
        assert Run.open("one").status == "finished"

    def test_where_the_job_is_not_known_that_is_told_and_the_training_goes_on(
        self, train, caplog, monkeypatch
    ):
        monkeypatch.delenv("SLURM_JOB_ID")
        train(hears("on_train_batch_start", 0))
        assert "SLURM_JOB_ID is not set: no job is queued again" in caplog.text
        assert asked() == []
        assert Run.open("one").status == "finished"

    def test_a_task_of_an_array_is_asked_for_by_its_number_in_it(self, train, monkeypatch):
        monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "11")
        train(hears("on_train_batch_start", 0))
        assert asked() == ["requeue 4700_11"]

    def test_a_handler_of_the_user_s_stays(self, train):
        heard = []
        before = signal.signal(signal.SIGUSR1, lambda *_: heard.append("theirs"))
        try:
            train(hears("on_train_batch_start", 0))
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert heard == ["theirs"]
        assert asked() == []


class TestCheckpointsThatNobodyAskedFor:
    def test_a_new_run_begins_from_none_unless_it_is_given(self, train, left_by_lightning, caplog):
        """That which Lightning has left had three epochs behind it: nothing would be trained."""
        by_itself = train(run_id="first")
        assert len(Run.open("first").history) == 3
        assert caplog.text.count(LEFT_OUT) == 1
        left_by_lightning.unlink()
        assert train(run_id="without") == by_itself

    def test_one_that_is_given_is_begun_from(self, train, left_by_lightning):
        train(run_id="given", ckpt_path=str(left_by_lightning), epochs=5)
        assert [math.isnan(value) for value in Run.open("given").history["val_loss"]] == [True] * 3 + [
            False
        ] * 2

    def test_one_that_is_given_to_what_follows_a_fit_that_failed_is_loaded(
        self, train, left_by_lightning, make_trainer
    ):
        class Fails(ScriptedModule):
            def setup(self, stage):
                if stage == "fit":
                    raise ConnectionAbortedError

        trainer, module = make_trainer(BurrCallback("one", tracker=False)), Fails(val_loss=[0.5])
        with pytest.raises(ConnectionAbortedError):
            trainer.fit(module, scripted_loader(), scripted_loader())
        saved = torch.load(left_by_lightning, weights_only=True)["state_dict"]["layer.weight"]
        trainer.validate(module, scripted_loader(), ckpt_path=str(left_by_lightning), verbose=False)
        assert torch.equal(module.layer.weight, saved)

    def test_a_run_goes_on_where_it_failed_and_not_from_what_lightning_saved_then(self, train, caplog):
        class Fails(Exception):
            pass

        def fail():
            raise Fails

        whole = train(run_id="whole")
        saves = OnExceptionCheckpoint(".", filename="saved")
        with pytest.raises(Fails):
            train(saves, Does(fail, "on_train_batch_end", 1))
        assert train(saves) == whole
        assert "saved.ckpt, which Lightning would take by itself, is left out" in caplog.text
