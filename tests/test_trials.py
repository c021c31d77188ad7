"""One trial: who has it, what it comes to, and what is no outcome of it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from test_study import AtOnce, study

from burr_lightning.errors import RunLockedError
from burr_lightning.locks import RunLock
from burr_lightning.tuning import Study, owning

PATIENCE = 60.0


def until(holds):
    deadline = time.monotonic() + PATIENCE
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

    def test_a_worker_waits_itself_for_a_while(self, held, own_home):
        path = own_home / "runs" / "lightning" / LOCKS[0]
        other = held(path)

        letting_go = threading.Timer(2.0, other.communicate, ["let go\n"])
        letting_go.start()
        trial = one(lambda trial: 5.0)
        letting_go.join()
        assert (trial.status, trial.attempts) == ("finished", 1)

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
from burr_lightning.tuning import Study

def objective(trial):
    print(f"held {os.getpid()} {os.getppid()}", flush=True)
    ctypes.PyDLL(None).sleep(600)  # which keeps the GIL

if __name__ == "__main__":
    Study(objective, {"x": FloatDistribution(0, 1)}, run_id="in-c", n_trials=1, attempts=1).run()
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("killed", ["study", "fork server"])
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
            os.kill(process.pid if killed == "study" else server, signal.SIGKILL)
            until(lambda: not alive(worker))
        finally:
            process.kill()
    if killed == "study":
        assert Study.open("in-c").trials[0].status == "running"
