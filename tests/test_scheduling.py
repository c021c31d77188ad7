"""The queue: what is decided, what lies on the disk, and the commands that put jobs there and show them."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from at_work import CLI, DEADLINE, ENDS_AS_ASKED, NOTES, Told, WorkerProcess, cli, noted, submit
from click.testing import CliRunner

from burr_lightning.cli import main
from burr_lightning.layout import Outcome, RunFolder, RunInfo
from burr_lightning.locks import RunLock, holder
from burr_lightning.questions import Answer, Field, Question
from burr_lightning.reviews import Reviews
from burr_lightning.scheduling.attempts import Attempt, Attempts
from burr_lightning.scheduling.deciding import Facts, RunFacts, decide, failures_in_a_row, seen
from burr_lightning.scheduling.errors import (
    BackoffError,
    CommandNotFoundError,
    JobExistsError,
    JobNotFoundError,
    JobRunningError,
    NotExecutableError,
)
from burr_lightning.scheduling.jobs import Job, JobFolder, Over, Queue
from burr_lightning.scheduling.lease import taken
from burr_lightning.scheduling.queued import Queued
from burr_lightning.scheduling.runs_of import KnownRun
from burr_lightning.scheduling.submitting import cancel
from burr_lightning.scheduling.submitting import submit as put

JOB = Job("job", ("/usr/bin/true",), "/", "job", (), 0.0, 2, 10.0)
GOOD = Attempt(1, 100, progress=0, ended=110, code=0, seen=("before",), seen_at_end=("before", "during"))
BAD = replace(GOOD, code=1)
CUT = replace(GOOD, code=None, ended=None)
STOPPED = replace(GOOD, code=143, stopped="SIGTERM")
BROKEN_OFF = replace(GOOD, code=130, stopped="SIGINT")
OVER = Over("done", "the command ended", 120, ("before", "during", "the first time"))

RUNNING, WAITING = RunFacts("r", "running"), RunFacts("r", "waiting")
FINISHED, FAILED = RunFacts("r", "finished"), RunFacts("r", "failed")
KILLED = RunFacts("r", "interrupted", began="the first time", killed=True)


def answered(answer: str, status: Any = "paused") -> RunFacts:
    return RunFacts("r", status, answer=answer)


DECISIONS = [
    ("never started", {}, "queued"),
    ("leased", {"leased": "process 1"}, "running"),
    ("leased, and its run was answered", {"leased": "process 1", "runs": (answered("after"),)}, "running"),
    ("its command lives on alone", {"attempts": (CUT,), "alone": True}, "running"),
    ("its run has a process", {"attempts": (BAD,), "runs": (RUNNING,)}, "running"),
    ("the run is there and waits", {"runs": (WAITING,)}, "waiting"),
    ("the run is there and was answered", {"runs": (answered("before"),)}, "ready"),
    ("the run is there and was killed", {"runs": (KILLED,)}, "interrupted"),
    ("the run is there and finished", {"runs": (FINISHED,)}, "queued"),
    ("ended well, no run", {"attempts": (GOOD,)}, "done"),
    ("ended well, run finished", {"attempts": (GOOD,), "runs": (FINISHED,)}, "done"),
    ("ended well, run failed", {"attempts": (GOOD,), "runs": (FAILED,)}, "done"),
    ("ended well, run waits", {"attempts": (GOOD,), "runs": (WAITING,)}, "waiting"),
    ("ended well, run answered since", {"attempts": (GOOD,), "runs": (answered("after"),)}, "ready"),
    ("answered while it ended", {"attempts": (GOOD,), "runs": (answered("during"),)}, "ready"),
    ("did not go on with the answer", {"attempts": (GOOD,), "runs": (answered("before"),)}, "done"),
    ("one waits, one was answered", {"attempts": (GOOD,), "runs": (WAITING, answered("after"))}, "ready"),
    ("one waits, one has finished", {"attempts": (GOOD,), "runs": (WAITING, FINISHED)}, "waiting"),
    ("failed after its run paused", {"attempts": (BAD,), "runs": (WAITING,)}, "waiting"),
    ("failed with the answer", {"attempts": (BAD,), "runs": (answered("during", "failed"),)}, "retrying"),
    ("answered anew after it failed", {"attempts": (BAD,), "runs": (answered("after", "failed"),)}, "ready"),
    ("a worker was asked to end", {"attempts": (STOPPED,)}, "interrupted"),
    ("asked to end, and ended well", {"attempts": (replace(STOPPED, code=0),)}, "done"),
    ("asked to end before it was started", {"attempts": (replace(STOPPED, code=None),)}, "interrupted"),
    ("Ctrl-C in a terminal", {"attempts": (BROKEN_OFF,)}, "stopped"),
    ("crashed", {"attempts": (BAD,)}, "retrying"),
    ("nobody knows how it ended", {"attempts": (CUT,)}, "retrying"),
    ("crashed too often", {"attempts": (BAD, BAD, BAD)}, "given up"),
    ("crashed too often, but brought a commit", {"attempts": (BAD, BAD, BAD), "progress": 1}, "retrying"),
    ("over", {"over": OVER, "attempts": (GOOD,)}, "done"),
    ("over, and its run waits", {"over": OVER, "runs": (WAITING,)}, "done"),
    ("over, and answered since", {"over": OVER, "runs": (answered("after"),)}, "ready"),
    ("over, and answered before", {"over": OVER, "runs": (answered("during"),)}, "done"),
    (
        "over, begun since and killed",
        {"over": OVER, "runs": (replace(KILLED, began="again"),)},
        "interrupted",
    ),
    ("over, killed before", {"over": OVER, "runs": (KILLED,)}, "done"),
    ("over, written by an older version", {"over": replace(OVER, seen=None), "runs": (KILLED,)}, "done"),
    ("its file is damaged", {"job": Job.unreadable("job", "torn")}, "damaged"),
    ("damaged, and cancelled", {"job": Job.unreadable("job", "torn"), "over": OVER}, "done"),
    (
        "cancelled, and answered since",
        {"over": replace(OVER, state="cancelled"), "runs": (answered("after"),)},
        "cancelled",
    ),
]


@pytest.mark.parametrize(("facts", "state"), [pytest.param(*rest, id=name) for name, *rest in DECISIONS])
def test_what_becomes_of_a_job(facts: dict[str, Any], state: str) -> None:
    assert decide(Facts(**{"job": JOB, **facts})).state == state


@pytest.mark.parametrize(
    ("facts", "at"),
    [
        ({"attempts": (BAD,)}, 110 + 10),
        ({"attempts": (BAD, BAD)}, 110 + 20),
        ({"attempts": (CUT,)}, 100 + 10),
        ({"attempts": (BAD, BAD), "progress": 1}, 110 + 10),
    ],
)
def test_the_wait_doubles_with_each_failure_in_a_row(facts: dict[str, Any], at: float) -> None:
    standing = decide(Facts(JOB, **facts))
    assert standing.at == at
    assert not standing.is_due(at - 1)
    assert standing.is_due(at)
    assert standing.is_due(99)  # the clock was set back: nobody waits until it has caught up


def test_the_wait_is_ten_minutes_at_most() -> None:
    standing = decide(Facts(replace(JOB, retries=5000), attempts=(BAD,) * 3000))
    assert standing.at == 110 + 600


def test_without_retries_the_first_crash_is_the_end() -> None:
    standing = decide(Facts(replace(JOB, retries=0), attempts=(replace(BAD, code=-9),)))
    assert (standing.state, standing.reason) == ("given up", "it was ended by SIGKILL")


@pytest.mark.parametrize(
    ("attempts", "progress", "count"),
    [
        ((BAD,), 0, 1),
        ((BAD, BAD, BAD), 0, 3),
        ((BAD, GOOD, BAD), 0, 1),
        ((BAD, STOPPED, BAD), 0, 2),
        ((BAD, CUT), 0, 2),
        ((BAD, BAD), 5, 1),
        ((BAD, replace(BAD, progress=5), replace(BAD, progress=5)), 5, 3),
        ((BAD, replace(STOPPED, progress=0), replace(BAD, progress=5)), 5, 1),
        ((BAD, replace(BAD, anew=True), BAD), 0, 2),
    ],
)
def test_failures_in_a_row(attempts: tuple[Attempt, ...], progress: int, count: int) -> None:
    assert failures_in_a_row(attempts, progress) == count


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "told")


def job_in(root: Path, name: str = "job", **options: Any) -> JobFolder:
    folder = Queue(root).make(replace(JOB, id=name, run_id=name, **options))
    assert folder is not None
    return folder


def change(path: Path, **added: Any) -> None:
    """Add to a JSON file, as a newer version or a bad disk may do."""
    path.write_text(json.dumps(json.loads(path.read_text()) | added))


class TestLease:
    def test_one_has_it_at_a_time(self, tmp_path: Path) -> None:
        first = taken(tmp_path / "lease")
        assert first is not None
        assert f"process {os.getpid()} on " in holder(tmp_path / "lease")
        assert taken(tmp_path / "lease") is None
        first.let_go()
        second = taken(tmp_path / "lease")
        assert second is not None
        second.let_go()

    def test_it_goes_over_to_a_process_and_ends_with_it(self, tmp_path: Path) -> None:
        first = taken(tmp_path / "lease")
        assert first is not None
        heir = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[first.descriptor])
        first.let_go()
        assert taken(tmp_path / "lease") is None
        heir.kill()
        heir.communicate()
        after = taken(tmp_path / "lease")
        assert after is not None
        after.let_go()


class TestQueue:
    def test_a_job_comes_back_as_it_was_put(self, root: Path) -> None:
        job = replace(JOB, runs=(("lightning", "a"), ("lightning", "b")))
        folder = Queue(root).make(job)
        assert folder is not None
        assert folder.job() == job

    def test_an_id_is_taken_once(self, root: Path) -> None:
        job_in(root)
        assert Queue(root).make(JOB) is None
        assert [path.name for path in (root / ".queue").iterdir()] == ["job"]

    def test_what_was_deleted_or_is_being_made_does_not_count(self, root: Path) -> None:
        (root / ".queue" / "deleted").mkdir(parents=True)
        (root / ".queue" / ".new-1").mkdir()
        assert "No job" not in cli("work", "--once")
        assert json.loads(cli("queue", "--json")) == []

    def test_what_a_newer_version_has_added_is_left_out(self, root: Path) -> None:
        put(["sh", "-c", f"{NOTES} ends"], root, run_id="job")
        cli("work", "--once")
        folder = Queue(root).folder("job")
        before = folder.job(), folder.over(), Attempts(folder).all()
        for path in (*folder.path.glob("*.json"), *folder.path.glob("attempts/*.json")):
            change(path, newer=1)
        assert (folder.job(), folder.over(), Attempts(folder).all()) == before
        (folder.path / "over.json").unlink()
        assert "job: done" in cli("work", "--once")
        assert noted("ends") == ["job"]

    @pytest.mark.parametrize(
        "content", ["{", "[]", "{}", '{"runs": 1}', "\xff", "folder", '{"command": []}', "nan"]
    )
    def test_a_damaged_job_is_left_alone_and_stops_no_other(self, root: Path, content: str) -> None:
        path = job_in(root, "bad").path / "job.json"
        if content == "nan":
            change(path, backoff=float("nan"))
        elif content == "folder":
            path.unlink(), path.mkdir()
        else:
            path.write_text(content, encoding="latin-1")
        put(["sh", "-c", f"{NOTES} ends"], root, run_id="good")
        said = cli("work", "--once")
        assert said.count("bad: damaged: job.json: ") == 1
        assert noted("ends") == ["good"]
        assert [job["state"] for job in json.loads(cli("queue", "--json"))] == ["damaged", "done"]
        assert "bad" in cli("queue")
        put(["true"], root, run_id="bad")
        assert "The job 'bad' is damaged (job.json: " in cli("resume", "bad", code=1)
        cli("cancel", "bad")
        assert "damaged" not in cli("work", "--once")

    def test_a_damaged_end_counts_as_one(self, root: Path) -> None:
        folder = job_in(root)
        folder.end(OVER)
        (folder.path / "over.json").write_text("{")
        assert cli("work", "--once") == ""
        [job] = json.loads(cli("queue", "--json"))
        assert (job["state"], job["reason"][:22]) == ("given up", "over.json is damaged: ")

    def test_of_a_damaged_attempt_the_end_is_not_known(self, root: Path) -> None:
        folder = job_in(root)
        Attempts(folder).write(GOOD)
        (folder.path / "attempts" / "000001.json").write_text("{")
        [attempt] = Attempts(folder).all()
        assert (attempt.number, attempt.ended, attempt.failed) == (1, None, True)

    def test_a_run_whose_files_are_damaged_stops_no_other(self, root: Path) -> None:
        put(["true"], root, run_id="good")
        (run_in(root, "bad").folder.path / "run.json").write_text('{"job": 7}')
        odd = run_in(root, "odd")
        odd.folder.write_info(replace(odd.info, launch={"command": "x", "folder": "/"}))
        (run_in(root, "odder").folder.path / "adopted.json").write_text("{}")
        (run_in(root, "oddest").folder.path / "outcome.json").write_text('{"no": "status"}')
        assert "good: done" in cli("work", "--once")

    def test_only_its_owner_reads_what_may_hold_a_password(self, root: Path) -> None:
        folder = job_in(root)
        assert (folder.path.stat().st_mode & 0o777, (folder.path / "job.json").stat().st_mode & 0o777) == (
            0o700,
            0o600,
        )

    def test_a_job_is_found_by_the_beginning_of_its_id(self, root: Path) -> None:
        job_in(root, "digits-1"), job_in(root, "digits-2"), job_in(root, "words")
        assert Queue(root).find("w").id == "words"
        assert Queue(root).find("digits-1").id == "digits-1"
        with pytest.raises(
            JobNotFoundError, match=r"'d' may mean digits-1, digits-2 in .* Give more of the id"
        ):
            Queue(root).find("d")
        with pytest.raises(JobNotFoundError, match=r"No job matches 'x' in .* digits-1, digits-2, words\."):
            Queue(root).find("x")

    def test_what_is_over_is_not_read_again(self, root: Path) -> None:
        reads: list[str] = []

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "open" and "over-" in str(arguments[0]):
                reads.append(str(arguments[0]))

        for number in range(20):
            job_in(root, f"over-{number}").end(OVER)
        open_ = job_in(root, "open")
        sys.addaudithook(hook)
        queued = Queued(root)
        queued.refresh()
        assert [folder.id for folder in queued.open()] == [open_.id]
        assert reads == []


class TestSubmit:
    def test_the_program_is_found_now_and_keeps_its_link(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python").symlink_to(sys.executable)
        (tmp_path / "script.sh").touch(mode=0o755)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", "bin")
            job = put(["python", "train.py"], root).job()
            assert put(["./script.sh"], root).job().command == (str(tmp_path / "script.sh"),)
        assert job.command == (str(tmp_path / "bin" / "python"), "train.py")
        assert job.folder == str(tmp_path)

    def test_a_file_that_nobody_may_start_is_said_to_be_one(self, root: Path) -> None:
        Path("prog").write_text("")
        with pytest.raises(NotExecutableError, match=r"'\./prog' is there and not executable.*chmod \+x"):
            put(["./prog"], root)

    @pytest.mark.parametrize("backoff", ["nan", "inf", "-inf"])
    def test_a_wait_is_a_finite_number(self, root: Path, backoff: str) -> None:
        with pytest.raises(BackoffError):
            put(["true"], root, backoff=float(backoff))
        for words in (["submit", f"--backoff={backoff}", "true"], ["work", f"--every={backoff}"]):
            result = CliRunner().invoke(main, words)
            assert result.exit_code == 2, result.output
        assert list(Queue(root).folders()) == []

    def test_of_two_at_the_same_time_one_is_refused(self, root: Path) -> None:
        """Each sees the job of the other, although both have looked before either has written."""
        queue = Queue(root)
        with queue.alone():
            command = [*CLI, "submit", "--run-id", "digits", "true"]
            both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
            until(lambda: is_waited_for(queue.path / ".lock", by=both))
        said = sorted(submitted.communicate(timeout=DEADLINE)[1][:5] for submitted in both)
        assert said == ["Error", "It is"]
        assert [folder.id for folder in queue.folders()] == ["digits"]

    def test_the_second_job_of_a_run_has_the_name_of_no_run(self, root: Path) -> None:
        put(["sh", "-c", "echo first"], root, run_id="digits").end(OVER)
        put(["sh", "-c", "echo second"], root, run_id="digits")
        put(["sh", "-c", "echo another run"], root, run_id="digits-2")
        assert cli("resume", "digits-2") == "another run\n"
        assert cli("resume", "digits~2") == "second\n"

    def test_a_program_that_is_not_there_is_refused(self, root: Path) -> None:
        with pytest.raises(CommandNotFoundError, match="no program 'pyhton'"):
            put(["pyhton", "train.py"], root)
        assert list(Queue(root).folders()) == []

    def test_a_run_is_in_the_queue_once(self, root: Path) -> None:
        put(["true"], root, run_id="digits").end(OVER)
        assert put(["true"], root, run_id="digits").id == "digits~2"
        with pytest.raises(JobExistsError, match="the job 'digits~2' is in the queue for that run"):
            put(["true"], root, run_id="digits")

    def test_what_follows_the_program_is_its_own(self, root: Path) -> None:
        assert CliRunner().invoke(main, ["submit", "true", "--retries", "7", "-h"]).exit_code == 0
        [folder] = Queue(root).folders()
        assert folder.job().command[1:] == ("--retries", "7", "-h")
        assert folder.job().retries == 3

    def test_it_says_what_to_do_next(self, root: Path) -> None:
        arguments = ["submit", "--run-id", "digits", "--root-dir", str(root), "--", "true", "--lr", "0.1"]
        result = CliRunner().invoke(main, arguments)
        assert result.stdout == "digits\n"
        assert result.stderr.endswith(f"is run by: burr-lightning work --root-dir {root}\n")
        assert Queue(root).folder("digits").job().command[1:] == ("--lr", "0.1")

    def test_the_command_finds_its_run_and_its_root(self) -> None:
        submit(
            "digits",
            "sh",
            "-c",
            'echo "$BURR_LIGHTNING_RUN_ID $BURR_LIGHTNING_JOB $BURR_LIGHTNING_HOME" > env',
        )
        cli("work", "--once")
        assert noted("env") == ["digits", "digits", str(Path("runs").absolute())]

    def test_killed_at_any_point_the_job_is_there_as_a_whole_or_not_at_all(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        there = []
        for point in range(1, 100):
            monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / f"runs-{point}"))
            code = dies(point, "submit", "job", "sh", "-c", f"{NOTES} ends")
            jobs = [folder.job().id for folder in Queue(tmp_path / f"runs-{point}").folders()]
            assert jobs in ([], ["job"])
            there += jobs
            if code == 0:
                break
        assert point > 4
        assert len(there) >= 2  # the last one, and one that was killed with nothing left to do
        assert "job: done" in cli("work", "--once")
        assert noted("ends") == ["job"]


def until(is_so: Callable[[], bool]) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_waited_for(path: Path, by: list[subprocess.Popen[str]]) -> bool:
    """Whether all of these processes wait for the lock on a file, as Linux says."""
    waiting = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    pids = {words[5] for words in waiting if words[6].endswith(f":{path.stat().st_ino}")}
    return {str(process.pid) for process in by} <= pids


def dies(point: int, *arguments: str) -> int:
    """What comes of a process of the queue that is killed at a point."""
    command = [sys.executable, str(Path(__file__).with_name("dying.py")), str(point), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def test_whatever_kills_the_keeper_of_a_command_it_ends_well_in_the_end(root: Path) -> None:
    with WorkerProcess("--every", 0.02, "--only-submitted") as worker:
        worker.process.send_signal(signal.SIGSTOP)
        for point in range(1, 100):
            name = f"job-{point}"
            put(["sh", "-c", f"{NOTES} starts"], root, run_id=name, backoff=0)
            if dies(point, "keep", name) == 0:
                break
        worker.process.send_signal(signal.SIGCONT)
        worker.until(": done: the command ended", point)
    assert point > 8
    assert {folder.id for folder in Queue(root).folders() if folder.is_over()} == {
        f"job-{number}" for number in range(1, point + 1)
    }
    starts = noted("starts")
    assert all(1 <= starts.count(f"job-{number}") <= 2 for number in range(1, point + 1))


class TestCancel:
    def test_what_is_out_of_the_queue_is_not_started(self, root: Path) -> None:
        job_in(root)
        assert cli("cancel", "job") == "job is out of the queue.\n"
        assert cli("work", "--once") == ""
        [job] = json.loads(cli("queue", "--json"))
        assert (job["state"], job["reason"]) == ("cancelled", "it was taken out while queued")
        assert "The job 'job' is cancelled and does not wait" in cli("cancel", "job", code=1)

    def test_what_runs_stays(self, root: Path) -> None:
        lease = taken(job_in(root).lease)
        assert lease is not None
        with lease, pytest.raises(JobRunningError, match=f"'job' is being run by process {os.getpid()} on "):
            cancel("job", root)
        assert not Queue(root).folder("job").is_over()

    def test_a_run_that_was_killed_can_be_kept_from_going_on(self, root: Path) -> None:
        run_in(root, "by-hand", launch=LAUNCH)
        run_in(root, "another", launch=LAUNCH | {"process": "another"})
        assert cli("cancel", "by-hand") == "by-hand is out of the queue.\n"
        said = cli("work", "--once")
        assert "another: done" in said
        assert "by-hand" not in said

    def test_of_two_runs_with_one_id_the_project_tells_which(self, root: Path) -> None:
        for project in ("a", "b"):
            run_in(root, "twin", project=project, launch=LAUNCH | {"process": project})
        with pytest.raises(JobNotFoundError, match="'twin' may mean a/twin, b/twin"):
            cancel("twin", root)
        assert list(Queue(root).folders()) == []
        cancel("b/twin", root)
        assert "twin" in (said := cli("work", "--once"))
        assert said.count("attempt 1 begins") == 1


LAUNCH = {"command": ["/bin/sh", "-c", f"{NOTES} ends"], "folder": "/", "environment": {}, "process": "a"}
DEAD = "process 99999999 on "


def run_in(root: Path, run_id: str, outcome: Outcome | None = None, **info: Any) -> KnownRun:
    """A run that was started by hand, by a process that is gone."""
    project = info.pop("project", "lightning")
    folder = RunFolder(root, project, run_id)
    folder.create()
    launch = info.pop("launch", LAUNCH) | {"folder": str(root.parent)}
    folder.write_info(RunInfo(run_id, project, None, None, 0.0, launch=launch, **info))
    folder.lock.write_text(f"{DEAD}{socket.gethostname()}, since yesterday")
    if outcome is not None:
        folder.write_outcome(outcome)
    info_ = folder.info()
    assert info_ is not None
    return KnownRun(folder, info_)


def ask(run: KnownRun, *, answered: bool, at: float | None = None) -> None:
    question = Question(2, "review", "Go on?", (Field("verdict", "str", True),), None, 1, time.time())
    Reviews(run.folder).ask(question)
    if answered:
        answer = Answer({"verdict": "go"}, "", "me", "python", at or time.time(), question.fingerprint)
        Reviews(run.folder).answer(question, answer)


class TestRunsByHand:
    @pytest.mark.parametrize(
        ("outcome", "goes_on"),
        [
            (None, True),
            (Outcome("interrupted", "SIGTERMException: "), True),
            (Outcome("interrupted", "KeyboardInterrupt: "), False),
            (Outcome("interrupted"), False),  # its script let it end where its machine had not
            (Outcome("failed", "RuntimeError: no"), False),
            (Outcome("finished"), False),
        ],
    )
    def test_those_that_were_killed_or_asked_to_end_go_on(
        self, root: Path, outcome: Outcome | None, goes_on: bool
    ) -> None:
        run_in(root, "by-hand", outcome)
        assert ("by-hand: done" in cli("work", "--once")) == goes_on
        assert cli("work", "--once") == ""
        assert noted("ends") == (["by-hand"] if goes_on else [])

    @pytest.mark.parametrize("answered", [True, False])
    def test_those_that_paused_go_on_with_an_answer(self, root: Path, answered: bool) -> None:
        ask(run_in(root, "by-hand", Outcome("paused")), answered=answered)
        assert ("by-hand: attempt 1 begins: by-hand was answered" in cli("work", "--once")) == answered

    def test_one_whose_process_lives_does_not(self, root: Path) -> None:
        """Between two fits of a script nobody holds the lock."""
        run = run_in(root, "by-hand")
        run.folder.lock.write_text(f"process {os.getpid()} on {socket.gethostname()}, since yesterday")
        assert cli("work", "--once") == ""
        [why, *_] = cli("queue").splitlines()[-1:]
        assert why.endswith(f"by hand, and no worker goes on with it: its process {os.getpid()} lives")

    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system says when a process began")
    def test_one_whose_number_has_another_process_now_goes_on(self, root: Path) -> None:
        lock = run_in(root, "by-hand").folder.lock
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as another:
            lock.write_text(f"process {another.pid} on {socket.gethostname()}, since yesterday")
            os.utime(lock, (time.time() - 86400,) * 2)
            assert "by-hand: done" in cli("work", "--once")
            another.communicate()

    def test_one_of_another_machine_does_not(self, root: Path) -> None:
        run_in(root, "by-hand").folder.lock.write_text(f"{DEAD}elsewhere, since yesterday")
        assert cli("work", "--once") == ""

    def test_one_that_is_trained_does_not(self, root: Path) -> None:
        lock = RunLock(run_in(root, "by-hand").folder.lock, "by-hand")
        lock.acquire()
        assert cli("work", "--once") == ""
        lock.release()

    def test_runs_of_one_process_are_started_once_and_keep_their_ids(self, root: Path) -> None:
        run_in(root, "first")
        run_in(root, "second")
        said = cli("work", "--once")
        assert said.count("attempt 1 begins") == 1
        assert cli("work", "--once") == ""
        assert Queue(root).folder("first").job().runs == (("lightning", "first"), ("lightning", "second"))
        assert Queue(root).folder("first").job().run_id is None

    def test_one_that_a_job_has_trained_is_the_jobs(self, root: Path) -> None:
        run_in(root, "run", job="job")
        run = KnownRun(RunFolder(root, "lightning", "run"), RunInfo("run", "lightning", None, None, 0.0))
        job_in(root).end(Over("done", "it ended", time.time(), seen([run.facts()])))
        assert cli("work", "--once") == ""

    def test_two_workers_make_one_job_of_it(self, root: Path) -> None:
        run = run_in(root, "by-hand")
        two = Queued(root), Queued(root)
        for queued in two:
            queued.refresh()
        assert [queued.make_job_for([run]).path.name for queued in two] == ["by-hand", "by-hand"]  # type: ignore[union-attr]

    def test_one_that_was_queued_since_is_not_started_twice(self, root: Path) -> None:
        run_in(root, "by-hand")
        finishes = """echo '{"status": "finished"}' > runs/lightning/by-hand/outcome.json"""
        put(["sh", "-c", f"{finishes}; {NOTES} ends"], root, run_id="by-hand")
        assert "by-hand: done" in cli("work", "--once")
        assert noted("ends") == ["by-hand"]

    def test_one_of_the_same_id_in_another_project_has_a_job_of_its_own(self, root: Path) -> None:
        run = run_in(root, "job")
        job_in(root)
        queued = Queued(root)
        queued.refresh()
        made = queued.make_job_for([run])
        assert made is not None
        assert made.id == "lightning~job"


class TestStanding:
    """How a run stands for the queue, by its files."""

    def test_a_question_that_was_asked_by_a_killed_process_waits(self, root: Path) -> None:
        run = run_in(root, "run")
        ask(run, answered=False)
        assert run.facts().status == "waiting"

    def test_where_its_rows_cannot_be_read_the_question_stands(self, root: Path) -> None:
        run = run_in(root, "run", Outcome("failed"))
        ask(run, answered=False)
        (root / "state.sqlite").write_text("not a database at all" * 1000)
        assert run.facts().status == "waiting"

    def test_a_finished_one_has_finished_whatever_it_once_asked(self, root: Path) -> None:
        run = run_in(root, "run", Outcome("finished"))
        ask(run, answered=False)
        assert run.facts().status == "finished"

    def test_one_that_paused_and_lost_its_question_asks_again(self, root: Path) -> None:
        facts = run_in(root, "run", Outcome("paused")).facts()
        assert facts.status == "interrupted"

    def test_progress_grows_with_each_commit_and_each_step_within_one(self, root: Path) -> None:
        run = run_in(root, "run")
        seen = [run.progress()]
        for name in (
            "epoch=00000-step=00000004-commit=0000001.ckpt",
            "epoch=00001-step=00000006-commit=0000001-batch=0000002.ckpt",
            "epoch=00000-step=00000001-commit=0000003.ckpt",  # a rollback went back to an earlier step
        ):
            (run.folder.checkpoints / name).touch()
            seen.append(run.progress())
        (run.folder.checkpoints / "epoch=00009-step=00000009-commit=0000009.ckpt.tmp.ckpt").touch()
        assert seen == sorted(set(seen))


COUNTS_SIGNALS = """
import signal, sys
from pathlib import Path

def note(*_):
    with open("signals", "a") as file:
        print("signal", file=file)

signal.signal(signal.SIGINT, note)
Path(sys.argv[1]).write_text("here\\n")
sys.stdin.readline()
sys.exit(5)
"""


class TestResume:
    def test_it_has_the_terminal_and_gives_the_exit_code(self, root: Path) -> None:
        put(["sh", "-c", "read line; echo got $line $BURR_LIGHTNING_RUN_ID; exit 7"], root, run_id="digits")
        done = subprocess.run(
            [*CLI, "resume", "digits"], input="this\n", capture_output=True, text=True, timeout=DEADLINE
        )
        assert (done.returncode, done.stdout, done.stderr) == (7, "got this digits\n", "")
        [attempt] = Attempts(Queue(root).folder("digits")).all()
        assert (attempt.code, attempt.anew) == (7, True)

    def test_what_was_given_up_is_started_again(self, root: Path) -> None:
        put(["sh", "-c", "test -e now"], root, run_id="digits", retries=0)
        assert "given up" in cli("work", "--once", code=1)
        Path("now").touch()
        cli("resume", "digits")
        assert [job["state"] for job in json.loads(cli("queue", "--json"))] == ["done"]

    def test_a_run_that_failed_by_hand_is_started_as_it_was(self, root: Path) -> None:
        run_in(root, "failed-by-hand", Outcome("failed", "RuntimeError"))
        cli("resume", "failed")
        assert noted("ends") == ["failed-by-hand"]

    def test_the_newest_run_is_meant_by_latest(self, root: Path) -> None:
        run_in(root, "old")
        cli("resume", "latest")
        assert noted("ends") == ["old"]

    def test_ctrl_c_reaches_the_command_once_and_no_worker_takes_over(self, told: Told, root: Path) -> None:
        put([sys.executable, "-c", COUNTS_SIGNALS, str(told.path)], root, run_id="digits")
        command = [*CLI, "resume", "digits"]
        resumed = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        told.until("here")
        os.killpg(resumed.pid, signal.SIGINT)
        resumed.communicate(b"\n", timeout=DEADLINE)
        assert resumed.returncode == 5
        assert noted("signals") == ["signal"]
        assert cli("work", "--once") == ""
        [job] = json.loads(cli("queue", "--json"))
        assert (job["state"], job["reason"]) == (
            "stopped",
            "with Ctrl-C; 'burr-lightning resume digits' goes on",
        )

    def test_sigterm_is_handed_on(self, told: Told, root: Path) -> None:
        put(["sh", "-c", f"echo here > {told.path}; exec cat"], root, run_id="digits")
        with subprocess.Popen([*CLI, "resume", "digits"], stdin=subprocess.PIPE) as resumed:
            told.until("here")
            resumed.terminate()
            assert resumed.wait(DEADLINE) == 128 + signal.SIGTERM
        [attempt] = Attempts(Queue(root).folder("digits")).all()
        assert (attempt.code, attempt.stopped) == (-signal.SIGTERM, "SIGTERM")

    def test_ctrl_c_is_not_handed_on_for_the_terminal_does_that(self, told: Told, root: Path) -> None:
        put([*ENDS_AS_ASKED, str(told.path)], root, run_id="digits")
        with subprocess.Popen([*CLI, "resume", "digits"]) as resumed:
            told.until(str(resumed.pid))
            resumed.send_signal(signal.SIGINT)
            resumed.send_signal(signal.SIGTERM)
            assert resumed.wait(DEADLINE) == 8

    def test_what_is_asked_while_the_command_starts_is_handed_on(self, root: Path) -> None:
        """Also where Ctrl-C, which is not ours to hand on, comes after it."""
        asked = (
            "import signal, sys\n"
            "def ask(event, arguments):\n"
            "    if event == 'subprocess.Popen':\n"
            "        signal.raise_signal(signal.SIGTERM)\n"
            "        signal.raise_signal(signal.SIGINT)\n"
            "from burr_lightning.cli import main\n"
            "sys.addaudithook(ask)\n"
            "main(prog_name='burr-lightning')"
        )
        put(["cat"], root, run_id="digits")
        with subprocess.Popen(
            [sys.executable, "-c", asked, "resume", "digits"], stdin=subprocess.PIPE
        ) as resumed:
            assert resumed.wait(DEADLINE) == 128 + signal.SIGTERM

    def test_a_signal_is_an_exit_code_as_in_a_shell(self, root: Path) -> None:
        put(["sh", "-c", "kill -KILL $$"], root, run_id="digits")
        assert cli("resume", "digits", code=128 + 9) == ""

    def test_what_another_process_runs_is_refused(self, root: Path) -> None:
        lease = taken(job_in(root).lease)
        assert lease is not None
        with lease:
            said = cli("resume", "job", code=1)
        assert f"'job' is being run by process {os.getpid()} on " in said

    @pytest.mark.parametrize("queued", [True, False])
    def test_a_run_that_is_trained_is_refused(self, root: Path, queued: bool) -> None:
        lock = RunLock(run_in(root, "job", job="job" if queued else None).folder.lock, "job")
        if queued:
            job_in(root)
        lock.acquire()
        assert f"'job' is being run by process {os.getpid()} on " in cli("resume", "job", code=1)
        lock.release()

    def test_a_run_that_waits_is_refused_with_what_answers_it(self, root: Path, tmp_path: Path) -> None:
        ask(run_in(tmp_path / "else where", "by-hand", Outcome("paused")), answered=False)
        said = cli("resume", "by-hand", "--root-dir", tmp_path / "else where", code=1)
        command = f"burr-lightning review by-hand --project lightning --root-dir '{tmp_path}/else where'"
        assert said == f"Error: The run 'by-hand' waits for an answer to 'Go on?'. Give it with: {command}\n"

    def test_a_run_of_which_no_command_is_known_says_how_to_go_on(self, root: Path) -> None:
        folder = RunFolder(root, "lightning", "notebook")
        folder.create()
        folder.write_info(RunInfo("notebook", "lightning", None, None, 0.0))
        said = cli("resume", "notebook", code=1)
        assert "burr-lightning submit --run-id notebook -- python SCRIPT" in said

    def test_a_program_that_is_gone_is_said_and_counts_as_a_failure(self, root: Path) -> None:
        folder = Queue(root).make(replace(JOB, command=("/no/such/program",)))
        assert folder is not None
        assert "job: retrying: it exited with 127" in cli("work", "--once", code=1)
        assert "it cannot be started: [Errno 2]" in folder.log.read_text()
        said = cli("resume", "job", code=127)
        assert "it cannot be started" in said
        assert "'/no/such/program' (the program /no/such/program in /)" in said

    def test_a_folder_that_is_gone_is_said(self, root: Path) -> None:
        assert Queue(root).make(replace(JOB, folder="/no/such/folder")) is not None
        said = cli("resume", "job", code=127)
        assert "'/no/such/folder' (the program /usr/bin/true in /no/such/folder)" in said

    def test_ctrl_c_before_the_start_is_an_exit_code_too(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Attempt(1, 0.0, 0, code=None, stopped="SIGINT")
        monkeypatch.setattr("burr_lightning.scheduling.resuming.resume", lambda *_: asked)
        assert CliRunner().invoke(main, ["resume", "job"]).exit_code == 128 + signal.SIGINT


class TestReopened:
    """A job that is over, and a human who did something."""

    def test_an_answer_since_has_it_started(self, root: Path) -> None:
        put(["sh", "-c", f"{NOTES} ends"], root, run_id="job").end(replace(OVER, seen=()))
        run = run_in(root, "job", Outcome("paused"), job="job")
        change(Queue(root).folder("job").path / "over.json", seen=seen([run.facts()]))
        assert cli("work", "--once") == ""
        ask(run, answered=True, at=1.0)  # on a machine whose clock is far behind
        assert "job: attempt 1 begins: job was answered" in cli("work", "--once")
        assert noted("ends") == ["job"]
        assert cli("work", "--once") == ""
        [attempt] = Attempts(Queue(root).folder("job")).all()
        assert attempt.anew

    def test_an_answer_of_a_clock_that_is_behind_is_gone_on_with_once(self, root: Path) -> None:
        run = run_in(root, "job", Outcome("paused"), job="job")
        ask(run, answered=False)
        put(["sh", "-c", f"{NOTES} ends"], root, run_id="job")
        cli("resume", "job", code=1)
        Attempts(Queue(root).folder("job")).write(replace(GOOD, started=time.time(), ended=time.time()))
        asked = Reviews(run.folder).newest()
        assert asked is not None
        answer = Answer({"verdict": "go"}, "", "me", "python", 1.0, asked.question.fingerprint)
        Reviews(run.folder).answer(asked.question, answer)
        assert "job: attempt 2 begins: job was answered" in cli("work", "--once")
        last = Attempts(Queue(root).folder("job")).all()[-1]
        assert last.seen == last.seen_at_end == (run.facts().answer,)
        assert cli("work", "--once") == ""
        assert noted("ends") == ["job"]

    def test_a_run_that_was_begun_since_and_killed_has_it_started(self, root: Path) -> None:
        put(["true"], root, run_id="job").end(OVER)
        run_in(root, "job", job="job")
        assert "job: attempt 1 begins: job is to go on" in cli("work", "--once")
        assert cli("work", "--once") == ""


class TestListing:
    def test_the_open_jobs_come_first_and_ten_of_those_that_are_over(self, root: Path) -> None:
        for number in range(12):
            job_in(root, f"over-{number:02d}").end(replace(OVER, at=float(number)))
        job_in(root, "second", submitted=2.0)
        job_in(root, "first", submitted=1.0)
        lines = cli("queue").splitlines()
        assert lines[0].split() == ["job", "state", "attempts", "ended", "why", "command"]
        shown = [line.split()[0] for line in lines[1:-2]]
        assert shown == ["first", "second", *(f"over-{number:02d}" for number in range(11, 1, -1))]
        assert lines[-2:] == [
            f"The commands' output: {root}/.queue/JOB/log.txt",
            "2 more are over; --all shows them.",
        ]
        assert len(json.loads(cli("queue", "--all", "--json"))) == 14

    @pytest.mark.parametrize(
        ("word", "shown"),
        [
            ("postgresql://u:hunter2@h/db", "postgresql://u:***@h/db"),
            ("--db=redis://:hunter2@h/0", "--db=redis://:***@h/0"),
            ("mongodb://u:hunt/er@2@h/db", "mongodb://u:***@h/db"),
            ("postgresql://h/db?user=u&password=hunter2&x=1", "postgresql://h/db?user=u&password=***&x=1"),
            ("http://host:8080/path", "http://host:8080/path"),
        ],
    )
    def test_a_password_among_the_arguments_is_not_shown(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, word: str, shown: str
    ) -> None:
        monkeypatch.setenv("COLUMNS", "1000")
        put(["sh", "-c", "exit 0", word], root, run_id="job")
        assert Queue(root).folder("job").job().command[-1] == word
        [job] = json.loads(cli("queue", "--json"))
        assert job["command"][-1] == shown
        cli("work", "--once")
        assert shown in cli("queue").replace("'", "")
        assert shown in Queue(root).folder("job").log.read_text().replace("'", "")
        assert word == shown or word not in Queue(root).folder("job").log.read_text()

    def test_an_empty_queue_says_how_to_fill_it(self) -> None:
        assert "burr-lightning submit -- COMMAND" in cli("queue")
        assert json.loads(cli("queue", "--json")) == []

    def test_a_job_that_is_running_says_who_runs_it(self, root: Path) -> None:
        lease = taken(job_in(root).lease)
        assert lease is not None
        with lease:
            [job] = json.loads(cli("queue", "--json"))
        assert job["state"] == "running"
        assert job["reason"].startswith(f"process {os.getpid()} on ")


class TestOutOfReach:
    """What the system refuses comes out as one line that says what to do."""

    @pytest.mark.parametrize("command", [["submit", "true"], ["queue"], ["work", "--once"], ["cancel", "x"]])
    def test_a_file_where_the_runs_are_to_be(self, root: Path, command: list[str]) -> None:
        root.write_text("")
        self.is_told(*command)

    def test_a_folder_that_cannot_be_made(self) -> None:
        self.is_told("submit", "--root-dir", "/proc/nope", "true")

    @pytest.mark.parametrize("words", [["resume", "job"], ["cancel", "job"]])
    def test_a_disk_without_locks(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
    ) -> None:
        job_in(root)

        def refuses(*_: Any) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.flock", refuses)
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 1
        assert "needs a folder on a disk that knows locks" in result.output

    def is_told(self, *command: str) -> None:
        said = cli(*command, code=1)
        assert said.startswith("Error: The queue lies beside the runs in "), said
        assert len(said.splitlines()) == 1


SAYS_ITS_LAUNCH = "import json; from burr_lightning.launch import launch; print(json.dumps(launch()))"


class TestLaunch:
    def said(self, *command: str, **options: Any) -> Any:
        done = subprocess.run(
            [sys.executable, *command],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=True,
            **options,
        )
        return json.loads(done.stdout)

    def test_a_script_is_started_again_as_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("script.py").write_text(SAYS_ITS_LAUNCH)
        monkeypatch.setenv("BURR_LIGHTNING_RUN_ID", "digits")
        monkeypatch.setenv("PGPASSWORD", "secret")
        launch = self.said("-u", "script.py", "--lr", "0.1")
        assert launch["command"] == [sys.executable, "-u", "script.py", "--lr", "0.1"]
        assert launch["folder"] == str(tmp_path)
        assert launch["environment"] == {
            "BURR_LIGHTNING_HOME": str(tmp_path / "runs"),
            "BURR_LIGHTNING_RUN_ID": "digits",
        }
        again = subprocess.run(launch["command"], capture_output=True, text=True, check=True)
        assert json.loads(again.stdout) == launch | {"process": json.loads(again.stdout)["process"]}
        assert json.loads(again.stdout)["process"] != launch["process"]

    def test_the_folder_is_that_of_before_the_script_went_elsewhere(self, tmp_path: Path) -> None:
        """As Hydra does between the imports and the training."""
        Path("elsewhere").mkdir()
        Path("script.py").write_text(
            "import json, os, sys, burr_lightning.callback\n"
            "os.chdir('elsewhere')\n"
            "print(json.dumps(sys.modules['burr_lightning.launch'].launch()))\n"
        )
        assert self.said("script.py")["folder"] == str(tmp_path)

    def test_a_module_and_a_line_are_commands_too(self) -> None:
        Path("module.py").write_text(SAYS_ITS_LAUNCH)
        assert self.said("-m", "module")["command"] == [sys.executable, "-m", "module"]
        assert self.said("-c", SAYS_ITS_LAUNCH)["command"] == [sys.executable, "-c", SAYS_ITS_LAUNCH]

    def test_what_came_by_a_pipe_or_from_a_prompt_is_none(self) -> None:
        assert self.said(input=SAYS_ITS_LAUNCH) is None
        assert self.said("-", input=SAYS_ITS_LAUNCH) is None
        assert self.said("-i", "-c", SAYS_ITS_LAUNCH, stdin=subprocess.DEVNULL) is None

    def test_a_notebook_is_none(self) -> None:
        assert self.said("-c", f"import builtins; builtins.__IPYTHON__ = True; {SAYS_ITS_LAUNCH}") is None

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_a_process_that_another_one_made_of_itself_is_none(self, method: str) -> None:
        Path("script.py").write_text(
            "import json, multiprocessing\n"
            "from burr_lightning.launch import launch\n"
            "def say(): print(json.dumps(launch()))\n"
            "if __name__ == '__main__':\n"
            f"    process = multiprocessing.get_context('{method}').Process(target=say)\n"
            "    process.start(); process.join()\n"
        )
        assert self.said("script.py") is None


@pytest.mark.parametrize("module", ["scheduling.attempt", "scheduling.worker", "cli.app", "launch"])
def test_nothing_heavy_is_imported(module: str) -> None:
    heavy = {"torch", "lightning", "burr", "numpy"}
    code = f"import sys, burr_lightning.{module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_commands_of_the_page_are_those_that_there_are() -> None:
    page = (Path(__file__).parents[1] / "docs" / "scheduler.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("burr-lightning ")]
    Path("train.py").write_text("import sys; print(*sys.argv[1:], file=open('rates', 'a'))")
    assert len(lines) == 5
    for line in lines:
        _, command, *words = shlex.split(line)
        ends = ["--once"] if command == "work" and "--once" not in words else []
        cli(command, *ends, *words)
    assert sorted(noted("rates")) == ["--lr", "--lr", "--lr", "0.1", "0.1", "0.3"]
