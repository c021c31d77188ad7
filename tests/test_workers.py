"""Workers, as processes that start real commands, are killed and asked to end."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
from at_work import CLI, DEADLINE, ENDS_AS_ASKED, NOTES, Gate, Told, WorkerProcess, cli, noted, submit

from burr_lightning import Run
from burr_lightning.layout import RunFolder
from burr_lightning.questions import Answer
from burr_lightning.reviews import Reviews
from burr_lightning.scheduling.attempts import Attempts
from burr_lightning.scheduling.jobs import Queue

TRAINING = [sys.executable, str(Path(__file__).with_name("scheduled.py"))]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "told")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


def attempts(job: str) -> Attempts:
    return Attempts(Queue(Path("runs").absolute()).folder(job))


def states() -> dict[str, str]:
    return {job["job"]: job["state"] for job in json.loads(cli("queue", "--all", "--json"))}


def test_twenty_runs_end_once_each_although_a_worker_is_killed(told: Told, gate: Gate) -> None:
    names = [f"run-{number:02d}" for number in range(20)]
    trained, noting = names[:3], names[3:]
    for name in trained[:2]:
        submit(name, *TRAINING, 2, "ends", told.path, gate.path)
    submit(trained[2], *TRAINING, 2, "ends")
    for name in noting:
        submit(name, "sh", "-c", f"{NOTES} ends")
    with WorkerProcess("--jobs", 2, "--every", 0.2) as killed:
        killed.until("attempt 1 begins", 2)
        with WorkerProcess("--jobs", 2, "--every", 0.2) as other:
            told.until("run-", 2)  # what the first one has begun is in the middle of its training
            killed.kill()
            gate.let_through(2)
            other.until(": done:", len(names))
            assert other.asked_to_end() == 0
    assert sorted(noted("ends")) == names
    assert set(states().values()) == {"done"}
    assert {len(attempts(name).all()) for name in names} == {1}
    assert {Run.open(name).status for name in trained} == {"finished"}
    assert {Run.open(name).epoch for name in trained} == {1}


def test_workers_side_by_side_start_each_command_once() -> None:
    names = [f"job-{number:02d}" for number in range(15)]
    for name in names:
        submit(name, "sh", "-c", f"{NOTES} ends")
    together = [WorkerProcess("--once", "--jobs", 3) for _ in range(3)]
    codes = [worker.process.wait(DEADLINE) for worker in together]
    assert codes == [0, 0, 0]
    assert sorted(noted("ends")) == names
    said = b"".join(worker.process.communicate()[0] for worker in together).decode()
    assert said.count("attempt 1 begins") == len(names)


def test_a_worker_that_is_asked_to_end_has_its_training_commit_and_the_next_goes_on(
    told: Told, gate: Gate
) -> None:
    submit("digits", *TRAINING, 3, "ends", told.path, gate.path)
    with WorkerProcess() as worker:
        told.until("digits")
        worker.process.send_signal(signal.SIGTERM)
        worker.until("asked 1 to end")
        gate.let_through()
        worker.until("digits: interrupted")
        assert worker.process.wait(DEADLINE) == 0
    [first] = attempts("digits").all()
    assert (first.code, first.stopped) == (143, "SIGTERM")
    assert Run.open("digits").status == "interrupted"
    assert states() == {"digits": "interrupted"}
    assert "digits: done" in cli("work", "--once")
    assert Run.open("digits").status == "finished"
    assert noted("ends") == ["digits"]
    assert len(attempts("digits").all()) == 2


def test_a_second_signal_ends_a_worker_at_once_and_loses_nothing(told: Told, gate: Gate) -> None:
    stubborn = f"trap '' TERM; echo here > {told.path}; read line < {gate.path}; {NOTES} ends"
    submit("stubborn", "sh", "-c", stubborn)
    with WorkerProcess() as worker:
        told.until("here")
        worker.process.send_signal(signal.SIGTERM)
        worker.until("asked 1 to end")
        assert worker.asked_to_end() == 0
    assert states() == {"stubborn": "running"}
    gate.let_through()
    with WorkerProcess("--every", 0.1) as worker:
        worker.until("stubborn: done")
    assert noted("ends") == ["stubborn"]


def test_ctrl_c_reaches_the_worker_alone(told: Told) -> None:
    """In a terminal, Ctrl-C goes to all processes of the foreground's group."""
    submit("job", *ENDS_AS_ASKED, told.path)
    command = [*CLI, "work"]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    told.until("")
    os.killpg(worker.pid, signal.SIGINT)
    output, _ = worker.communicate(timeout=DEADLINE)
    assert worker.returncode == 0
    assert "job: interrupted: its worker was asked to end" in output
    [only] = attempts("job").all()
    assert (only.code, only.stopped) == (8, "SIGTERM")


def test_what_a_shell_has_started_is_asked_to_end_with_it(told: Told) -> None:
    submit("shell", "sh", "-c", f"{shlex.join([*ENDS_AS_ASKED, str(told.path)])}; true")
    with WorkerProcess() as worker:
        told.until("")
        assert worker.asked_to_end() == 0
        told.until("SIGTERM")


def test_what_crashes_is_started_again_later_each_time_until_it_is_given_up() -> None:
    submit("bad", "sh", "-c", f"{NOTES} starts; exit 3", retries=2, backoff=0.1)
    with WorkerProcess() as worker:  # which looks every minute: it is woken when the wait is over
        worker.until("bad: given up: it exited with 3, 3 times without a new commit")
    made = attempts("bad").all()
    assert [attempt.code for attempt in made] == [3, 3, 3]
    waits = [later.started - (before.ended or 0) for before, later in pairwise(made)]
    assert waits[0] >= 0.1
    assert waits[1] >= 0.2
    cli("work", "--once")
    assert len(noted("starts")) == 3


def test_what_brings_a_new_commit_before_each_crash_is_not_given_up() -> None:
    folder = "runs/lightning/slow"
    commits = (
        f"mkdir -p {folder}/checkpoints; echo x >> starts; n=$(wc -l < starts); "
        f"echo '{json.dumps(INFO | {'run_id': 'slow'})}' > {folder}/run.json; "
        f"touch {folder}/checkpoints/epoch=00000-step=0000000$n-commit=0000003-batch=0000001.ckpt; "
        f"test $n -ge 6"
    )
    submit("slow", "sh", "-c", commits, retries=1, backoff=0.01)
    with WorkerProcess() as worker:
        worker.until("slow: done")
    assert [attempt.code for attempt in attempts("slow").all()] == [1, 1, 1, 1, 1, 0]


INFO = {"project": "lightning", "monitor": None, "tracker": None, "created": 0.0}


def test_with_once_it_does_not_wait_for_a_second_chance_and_says_so() -> None:
    submit("bad", "false")
    submit("good", "true")
    said = cli("work", "--once", code=1)
    assert "bad: retrying: it exited with 1; again at " in said
    assert "good: done" in said
    assert cli("work", "--once") == ""


def test_a_command_whose_keeper_was_killed_is_not_started_beside_itself(told: Told, gate: Gate) -> None:
    submit("left", "sh", "-c", f"{NOTES} starts; echo $PPID > {told.path}; read x < {gate.path}", backoff=0)
    with WorkerProcess() as worker:
        keeper = int(told.until("")[-1])
        os.kill(keeper, signal.SIGKILL)
        worker.until("left: running: process")
        worker.kill()
    assert cli("work", "--once") == ""
    assert noted("starts") == ["left"]
    [begun] = attempts("left").all()
    gate.let_through()
    with open(attempts("left").lock(begun), "rb") as locked:
        fcntl.flock(locked, fcntl.LOCK_SH)  # the command's end
    gate.let_through()
    assert "left: done" in cli("work", "--once")
    assert [attempt.code for attempt in attempts("left").all()] == [None, 0]


@pytest.mark.parametrize("name", ["secrets", "queue", "token", "select", "subprocess"])
def test_a_file_of_the_user_hides_none_of_pythons(name: str) -> None:
    Path(f"{name}.py").write_text("raise RuntimeError('a file of the user')")
    submit("job", "sh", "-c", f"{NOTES} ends")
    assert "job: done" in cli("work", "--once")
    assert noted("ends") == ["job"]


def test_what_cannot_be_written_down_is_said_and_not_started_again_and_again() -> None:
    submit("bad", "sh", "-c", f"{NOTES} starts")
    submit("good", "true")
    Path("runs/.queue/bad/attempts").touch()
    said = cli("work", "--once", code=1)
    assert "bad: what looks after its command ended with 1 before it began; see " in said
    assert said.count("bad: attempt 1 begins") == 1
    assert "good: done" in said
    with WorkerProcess("--every", 0.01, "--jobs", 2) as worker:
        worker.until("before it began; see ")
        submit("later", "true")
        seen = worker.until("later: done")
        assert sum("bad: attempt" in line for line in seen) == 1
        assert any("; again in 10 seconds" in line for line in seen)
    assert noted("starts") == []


def test_a_run_that_was_started_by_hand_and_killed_goes_on(told: Told, gate: Gate) -> None:
    by_hand = [*TRAINING, "2", "ends", told.path, gate.path]
    training = subprocess.Popen(by_hand, stderr=subprocess.DEVNULL)
    run_id = told.until(" ")[-1].split()[1]
    assert cli("work", "--once") == ""  # a process has it
    training.kill()
    training.wait(DEADLINE)
    assert cli("work", "--once", "--only-submitted") == ""
    said = cli("work", "--once")
    assert f"{run_id}: was started by hand, and is in the queue now" in said
    assert f"{run_id}: done" in said
    assert noted("ends") == [run_id]
    assert Run.open(run_id).status == "finished"
    assert cli("work", "--once") == ""


PAUSES = """
import os, time
from pathlib import Path
from burr_lightning.layout import Outcome, RunFolder, RunInfo
from burr_lightning.questions import Field, Question
from burr_lightning.reviews import Reviews

folder = RunFolder(Path("runs").absolute(), "lightning", os.environ["BURR_LIGHTNING_RUN_ID"])
folder.create()
folder.write_info(RunInfo(folder.run_id, "lightning", None, None, 0.0, job=os.environ["BURR_LIGHTNING_JOB"]))
question = Question(2, "review", "Go on?", (Field("verdict", "str", True),), None, 1, time.time())
asked = Reviews(folder)
status = "finished" if asked.answer_to(asked.ask(question)) else "paused"
folder.write_outcome(Outcome(status))
with open("ends", "a") as file:
    print(status, file=file)
"""


def test_a_run_that_waits_for_an_answer_is_started_when_it_is_there() -> None:
    submit("asks", sys.executable, "-c", PAUSES)
    assert "asks: waiting: asks waits for an answer" in cli("work", "--once")
    assert cli("work", "--once") == ""
    assert states() == {"asks": "waiting"}
    assert "burr-lightning review asks --project lightning" in cli("resume", "asks", code=1)
    reviews = Reviews(RunFolder(Path("runs").absolute(), "lightning", "asks"))
    asked = reviews.newest()
    assert asked is not None
    told = Answer({"verdict": "go"}, "", "me", "python", time.time(), asked.question.fingerprint)
    reviews.answer(asked.question, told)
    assert states() == {"asks": "ready"}
    said = cli("work", "--once")
    assert "asks: attempt 2 begins: asks was answered" in said
    assert "asks: done" in said
    assert noted("ends") == ["paused", "finished"]
