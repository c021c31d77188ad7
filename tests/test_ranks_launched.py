"""Every way to start the processes of a training comes to the same, to the last bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from forks import Child, tell
from ranked import Training, train
from scripts import run_script
from torch.multiprocessing import ProcessExitedException

from burr_lightning import Checkpoints, Run

pytestmark = pytest.mark.usefixtures("own_port")

SCRIPT = Path(__file__).parent / "ranked_script.py"


def told(done):
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def launched(*command, **variables):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)


@pytest.fixture
def forked():
    return told(run_script(SCRIPT, "ddp_fork"))


def test_after_ddp_fork_the_callback_tells_what_the_processes_have_trained(forked):
    run = Run.open("script")
    assert forked["losses"] == [float(value) for value in run.history["val_loss"]]
    assert (forked["stop_reason"], run.status) == ("max_epochs=4 was reached", "finished")
    assert forked["best"] == run.best_checkpoint.name


def saves_inside_epochs():
    return {"checkpoints": Checkpoints(every_n_steps=100)}


def train_in_forks(training):
    try:
        train(training)
    except ProcessExitedException as error:
        tell("ended", error.exit_code)


def test_after_sigterm_to_one_of_ddp_fork_all_end_with_a_commit_and_fit_raises():
    training = Training(callback=saves_inside_epochs, stateful=True, event=([1], 1, 2, "SIGTERM"))
    child = Child(train_in_forks, training.but(trainer={"strategy": "ddp_fork", "devices": 2}))
    assert child.waits_for("ended") == ("ended", 128 + signal.SIGTERM)
    assert child.ended() == 0
    run = Run.open("ranked")
    assert run.status == "interrupted"
    assert [*(run.folder / "checkpoints").glob("epoch=00001-*-batch=0000003.ckpt")]


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_lightning_s_own_launchers(strategy, forked, monkeypatch, tmp_path):
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "again"))
    assert told(launched(sys.executable, SCRIPT, strategy)) == forked


@pytest.mark.long
def test_torchrun_starts_them_again_where_one_dies_and_the_run_goes_on(forked, monkeypatch, tmp_path):
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "again"))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    # Otherwise the processes of a restart may find the addresses of those before, and are refused.
    anew = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    done = launched(*torchrun, "--max-restarts", "1", SCRIPT, "ddp", **anew)
    assert told(done) == forked
    assert "goes on after epoch 1" in done.stderr
