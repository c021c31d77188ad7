"""One trial: who has it, what it comes to, and what is no outcome of it."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from at_work import DEADLINE
from burr.core.persistence import SQLitePersister
from lightning.pytorch import Callback
from test_study import AtOnce, study

from burr_lightning import BurrCallback, Run
from burr_lightning.conditions import reached
from burr_lightning.errors import ExecutorBrokenError, ResumeError, RunLockedError, UnreadableStudyError
from burr_lightning.locks import RunLock, is_held
from burr_lightning.pausing import Block
from burr_lightning.testing import ScriptedModule, scripted_loader
from burr_lightning.tuning import InProcess, Study, owning
from burr_lightning.tuning.running import RunningStudy


def until(holds):
    deadline = time.monotonic() + DEADLINE
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def one(fn, **options):
    """The only trial of a study, that does not raise where it has failed."""
    trials = study("one", fn=fn, n_trials=2, **options).run().trials
    return trials[0]


def well(then):
    """An objective whose second trial finishes, for a study that ends without an error."""
    return lambda trial: then(trial) if trial.number == 0 else 1.0


HOLDS = """
import sys, time
from pathlib import Path
from burr_lightning.locks import RunLock
lock = RunLock(Path(sys.argv[1]), "one-0")
lock.acquire()
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def held():
    """Another process that has a lock, until it is told to let go."""
    processes = []

    def begin(path):
        command = [sys.executable, "-c", HOLDS, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


LOCKS = ["one-0/lock", "one/outcomes/0.lock"]


class TestOwning:
    @pytest.mark.parametrize("lock", LOCKS)
    def test_a_trial_that_another_process_has_is_waited_for(self, lock, held, own_home, monkeypatch):
        monkeypatch.setattr(owning, "PATIENCE", 0.0)
        other = held(own_home / "runs" / "lightning" / lock)
        reasons = []

        class Tells(AtOnce):
            def submit(self, fn, /, task):
                future = super().submit(fn, task)
                reasons.append(future.result().reason)
                if len(reasons) == 4:
                    other.communicate("let go\n")
                return future

        trial = one(lambda trial: 5.0, executor=Tells(), attempts=2)
        assert (trial.status, trial.value, trial.attempts, trial.deaths) == ("finished", 5.0, 5, 0)
        assert f"still runs it (process {other.pid} on" in reasons[0]
        assert not list((own_home / "runs" / "lightning" / "one" / "outcomes").iterdir())

    def test_a_worker_waits_itself_for_a_while(self, held, own_home, monkeypatch):
        other = held(own_home / "runs" / "lightning" / LOCKS[0])
        looks = []

        def look(path):
            looks.append(is_held(path))
            if len(looks) == 1:
                other.communicate("let go\n")
            return looks[-1]

        monkeypatch.setattr(owning, "is_held", look)
        trial = one(lambda trial: 5.0)
        assert (trial.status, trial.attempts) == ("finished", 1)
        assert looks[:2] == [True, False]

    def test_a_run_that_is_locked_in_mid_trial_is_no_failure(self):
        def locked(trial):
            if trial.attempt == 1:
                raise RunLockedError(trial.run_id, "process 1")
            return 5.0

        trial = one(well(locked))
        assert (trial.status, trial.attempts, trial.deaths) == ("finished", 2, 1)

    def test_another_run_that_is_locked_is_a_failure(self, own_home):
        def locked(trial):
            with RunLock(own_home / "lock", "other"):
                RunLock(own_home / "lock", "other").acquire()

        trial = one(well(locked))
        assert (trial.status, trial.attempts) == ("failed", 1)
        assert "RunLockedError" in trial.reason


IN_C = """
import ctypes, os, sys
from optuna.distributions import FloatDistribution
from burr_lightning.tuning import LocalProcesses, Study

def objective(trial):
    print(f"held {os.getpid()} {os.getppid()}", flush=True)
    ctypes.PyDLL(None).sleep(600)  # which keeps the GIL

if __name__ == "__main__":
    once = {"n_trials": 1, "attempts": 1, "executor": LocalProcesses(preload=[])}
    Study(objective, {"x": FloatDistribution(0, 1)}, run_id="in-c", **once).run()
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("killed", ["study", pytest.param("fork server", marks=pytest.mark.long)])
def test_a_trial_that_is_in_c_code_ends_with_the_study_and_with_the_fork_server(killed, tmp_path):
    script = tmp_path / "in_c.py"
    script.write_text(IN_C)
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        try:
            said = until(process.stdout.readline).split()
            worker, server = int(said[1]), int(said[2])
            # The study writes down that it runs after it has begun it.
            until(lambda: [trial.status for trial in Study.open("in-c").trials] == ["running"])
            os.kill(process.pid if killed == "study" else server, signal.SIGKILL)
            until(lambda: not alive(worker))
        finally:
            process.kill()
    if killed == "study":
        assert Study.open("in-c").trials[0].status == "running"


@pytest.fixture
def fit(make_trainer):
    """Trains a trial for three epochs."""

    def train(callback, *others, epochs=3, **script):
        trainer = make_trainer(callback, *others, max_epochs=epochs)
        module = ScriptedModule(**(script or {"val_loss": [0.5, 0.25, 0.75]}))
        trainer.fit(module, scripted_loader(), scripted_loader())
        return trainer

    return train


class Killed(BaseException):
    """The end of a study that writes nothing down any more."""


def killed_before_the_record(monkeypatch, **options):
    commit = RunningStudy._commit

    def dies(self, app):
        if str(app.state["__PRIOR_STEP"]) == "record":
            raise Killed
        commit(self, app)

    with monkeypatch.context() as patch:
        patch.setattr(RunningStudy, "_commit", dies)
        with pytest.raises(Killed):
            study("one", **options).run()
    assert Study.open("one").trials[0].status == "running"


class TestKeptOutcomes:
    def test_a_trial_that_is_over_is_not_run_again_where_its_study_died_before(
        self, fit, monkeypatch, own_home
    ):
        tried = []

        def objective(trial):
            tried.append((trial.number, trial.attempt))
            return fit(trial.callback()).callback_metrics["val_loss"].item()

        options = {"fn": objective, "n_trials": 2, "monitor": "val_loss"}
        killed_before_the_record(monkeypatch, **options)
        kept = own_home / "runs" / "lightning" / "one" / "outcomes"
        assert [each.name for each in kept.iterdir()] == ["0.json"]
        ran = study("one", **options).run()
        assert [(each.status, each.value) for each in ran.trials] == [("finished", 0.75)] * 2
        assert tried == [(0, 1), (1, 1)]
        assert not list(kept.iterdir())

    @pytest.mark.parametrize(
        ("error", "status", "said"),
        [
            (optuna.TrialPruned("enough"), "pruned", "enough"),
            (ZeroDivisionError("no data"), "failed", "no data"),
        ],
    )
    def test_so_is_one_that_was_pruned_or_has_failed(self, error, status, said, monkeypatch):
        tried = []

        def objective(trial):
            tried.append(trial.number)
            raise error

        killed_before_the_record(monkeypatch, fn=well(objective), n_trials=2)
        trial = one(well(objective))
        assert (trial.status, tried) == (status, [0])
        assert said in trial.reason

    def test_what_another_study_of_the_name_has_left_is_no_outcome(self, monkeypatch, own_home):
        killed_before_the_record(monkeypatch, fn=lambda trial: 7.0, n_trials=2)
        (own_home / "runs" / "state.sqlite").unlink()
        (own_home / "runs" / "lightning" / "one" / "study.json").unlink()
        assert one(lambda trial: 5.0, seed=4).value == 5.0

    def test_what_is_left_of_trials_that_are_over_is_removed(self, own_home):
        left = own_home / "runs" / "lightning" / "one" / "outcomes"
        one(lambda trial: 5.0)
        for name in ("0.json", "1.lock", "9.json"):
            (left / name).touch()
        study("one", n_trials=3).run()
        assert not list(left.iterdir())


@pytest.mark.parametrize("code", [0, 2, "bad data"])
def test_an_objective_that_exits_has_failed_and_the_study_goes_on(code):
    trial = one(well(lambda trial: sys.exit(code)))
    assert trial.status == "failed"
    assert f"The objective called sys.exit({code!r})" in trial.reason


def test_one_that_exits_in_mid_training_has_failed_as_well(fit):
    class Exits(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            sys.exit(3)

    trial = one(well(lambda trial: fit(trial.callback(), Exits())))
    assert (trial.status, trial.attempts) == ("failed", 1)
    assert "sys.exit(3)" in trial.reason


class Signals(Callback):
    def __init__(self, number):
        self._number = number

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 1:
            os.kill(os.getpid(), self._number)


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_study_that_is_told_to_end_in_mid_training_ends(number, raised, fit):
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(raised):
            one(lambda trial: fit(trial.callback(), Signals(number)), executor=InProcess())
    finally:
        signal.signal(signal.SIGINT, before)
    assert Study.open("one").trials[0].status == "waiting"


def test_what_an_objective_makes_of_its_interruption_is_no_outcome(fit):
    def objective(trial):
        others = [Signals(signal.SIGTERM)] if trial.attempt == 1 else []
        try:
            fit(trial.callback(), *others)
        except BaseException:
            return 99.0

    with pytest.raises(SystemExit):
        one(well(objective), monitor="val_loss")
    trial = Study.open("one").trials[0]
    assert (trial.status, trial.value, trial.deaths) == ("waiting", None, 0)
    trial = one(well(objective), monitor="val_loss")
    assert (trial.status, trial.value, trial.attempts) == ("finished", 0.25, 2)


class TestWaiting:
    def test_a_trial_that_would_wait_for_a_human_is_refused(self, fit):
        trial = one(
            well(lambda trial: fit(trial.callback(review_when=reached("val_loss", 0.3)))), monitor="val_loss"
        )
        assert trial.status == "failed"
        assert "its machine asks a human in 'review'" in trial.reason

    def test_one_that_waits_in_vain_has_failed(self, fit):
        asks = {"review_when": reached("val_loss", 0.3), "wait": Block(timeout=0.01)}
        trial = one(well(lambda trial: fit(trial.callback(**asks)) and None), monitor="val_loss")
        assert trial.status == "failed"
        assert "The run 'one-0' waits for an answer to 'review'" in trial.reason


class TestSecondFits:
    def test_a_second_fit_that_would_train_nothing_is_refused(self, fit):
        trial = one(well(lambda trial: [fit(trial.callback()) for fold in range(2)]), monitor="val_loss")
        assert trial.status == "failed"
        assert "trial 0 has trained its run 'one-0' to the end" in trial.reason
        assert (Run.open("one-0").status, Run.open("one-0").epoch) == ("finished", 2)

    def test_one_that_trains_on_is_not_and_neither_is_a_run_of_its_own(self, fit):
        def objective(trial):
            fit(trial.callback(), epochs=1)
            fit(BurrCallback(run_id=f"{trial.run_id}-fold1"))
            fit(trial.callback(), epochs=3)

        trial = one(well(objective), monitor="val_loss")
        assert (trial.status, Run.open("one-0").epoch) == ("finished", 2)


@pytest.mark.parametrize(
    ("monitored", "options", "value"),
    [
        ({"monitor": "val_loss"}, {"monitor": "val_acc", "mode": "max"}, 0.25),
        ({"monitor": "val_loss"}, {"mode": "max"}, 0.25),
        ({"monitor": "val_acc", "direction": "max"}, {}, 0.875),
        ({"direction": "max"}, {"monitor": "val_acc"}, 0.875),
    ],
)
def test_a_trial_is_as_good_as_the_study_s_monitor_says(monitored, options, value, fit):
    script = {"val_loss": [0.5, 0.25, 0.75], "val_acc": [0.125, 0.875, 0.5]}
    trial = one(well(lambda trial: fit(trial.callback(**options), **script) and None), **monitored)
    assert (trial.status, trial.value, trial.step) == ("finished", value, 1)


@pytest.mark.parametrize(
    ("returned", "values"),
    [
        (3, (3.0,)),
        (np.float32(0.5), (0.5,)),
        (np.array(0.5), (0.5,)),
        (torch.tensor(0.5), (0.5,)),
        (torch.tensor([0.5]), (0.5,)),
        ([torch.tensor(0.5), np.int64(2)], (0.5, 2.0)),
        (np.array([0.5, 2.0]), (0.5, 2.0)),
    ],
)
def test_numbers_of_all_kinds_are_values(returned, values):
    directions = ["min"] * len(values)
    sampler = optuna.samplers.RandomSampler()
    trial = one(lambda trial: returned, direction=directions, sampler=sampler)
    assert trial.values == values


@pytest.mark.parametrize(
    "returned",
    ["5", True, np.True_, {"loss": 1}, [True], ["5"], [None], b"5", 1j, np.ones((1, 2)), [{}], object],
)
def test_what_is_no_number_is_refused_in_words(returned):
    trial = one(well(lambda trial: returned))
    assert trial.status == "failed"
    assert "a trial's value must be a number" in trial.reason
    assert "TypeError" not in trial.reason


def dies_once(trial):
    marker = Path("died")
    if trial.number == 1 and not marker.exists():
        marker.touch()
        os._exit(1)
    time.sleep(0.3)
    return 5.0


class TestBrokenExecutors:
    @pytest.mark.parametrize("parallel", [1, pytest.param(2, marks=pytest.mark.long)])
    def test_a_pool_that_breaks_ends_the_study_in_words_and_counts_no_death(self, parallel):
        options = {"fn": dies_once, "n_trials": 4, "parallel": parallel, "tracker": False}
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            for said in (r"\(...\)\): the executor is broken.*Trials .*1", "the executor is broken"):
                with pytest.raises(
                    ExecutorBrokenError, match=rf"Study\('one', executor=ProcessPoolExecutor.*{said}"
                ):
                    study("one", executor=pool, **options).run()
        stored = Study.open("one").trials
        assert {each.status for each in stored} <= {"waiting", "finished"}
        ran = study("one", **{**options, "parallel": 1}).run()
        assert [(each.status, each.deaths) for each in ran.trials] == [("finished", 0)] * 4


def test_an_exit_in_a_worker_of_another_executor_is_its_own():
    class Exits(AtOnce):
        def submit(self, fn, /, task):
            future = Future()
            future.set_exception(SystemExit(143))
            return future if task.attempt == 1 and task.number == 0 else super().submit(fn, task)

    trial = one(lambda trial: 5.0, executor=Exits())
    assert (trial.status, trial.deaths) == ("finished", 1)


def test_a_study_whose_file_is_torn_says_so(own_home):
    one(lambda trial: 5.0)
    path = own_home / "runs" / "lightning" / "one" / "study.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(UnreadableStudyError, match=r"Study 'one' cannot be opened: .*study.json is torn"):
        Study.open("one")
    assert study("one", n_trials=2).run().trials == Study.open("one").trials


def test_a_study_whose_rows_are_in_a_persister_of_its_script_says_so(own_home):
    rows = SQLitePersister.from_values(str(own_home / "own.sqlite"))
    rows.initialize()
    study("one", n_trials=1, persister=rows).run()
    with pytest.raises(ResumeError, match=r"its rows are in a SQLitePersister that its script opened"):
        Study.open("one")
    assert len(Study.open("one", persister=rows).trials) == 1
