"""Calls in processes of their own: real processes, killed by real signals."""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from functools import cache
from pathlib import Path

import local_calls
import pytest
from at_work import DEADLINE, Gate, Lines, Told
from pools import LocalPool, by_and_by

from burr_lightning.errors import (
    ArgumentError,
    NotPickledError,
    ProcessDiedError,
    ProcessNotStartedError,
    RemoteError,
    ResultNotPickledError,
)
from burr_lightning.tuning import devices as of_slots
from burr_lightning.tuning.local import LocalProcesses

METHODS = ["forkserver", pytest.param("spawn", marks=pytest.mark.long)]


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path / "told")


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


def light(workers=1, **options):
    """Whose fork server imports next to nothing."""
    return LocalPool(workers, **{"preload": ["local_calls"], **options})


def script(path, text, *arguments, **options):
    """Run a script, whose executor is light, to its end; what it printed."""
    path.write_text(f"from burr_lightning.tuning.local import LocalProcesses\nimport local_calls\n{text}")
    command = [sys.executable, "-W", "error", str(path), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False, **options)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))


def children():
    """The processes that this one has started and not waited for."""
    listed = Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split()
    return set(map(int, listed))


def open_files():
    return len(os.listdir("/proc/self/fd"))


def pids_of(pool, calls):
    """The processes of as many calls, which may have told something before that is known here."""
    by_and_by(lambda: len(pool.pids) == calls)
    return pool.pids


class TestRunning:
    @pytest.mark.parametrize("start", METHODS)
    def test_each_call_has_a_process_of_its_own(self, start):
        with light(2, start=start) as pool:
            counted = [pool.submit(local_calls.count) for _ in range(3)]
            processes = [pool.submit(local_calls.process) for _ in range(3)]
            assert [each.result(DEADLINE) for each in counted] == [1, 1, 1]
            pids = {each.result(DEADLINE)[0] for each in processes}
        assert len(pids) == 3
        assert os.getpid() not in pids

    def test_calls_start_in_order(self, told):
        with light() as pool:
            for name in range(6):
                pool.submit(local_calls.tell, told.path, name)
        assert told.until("", 6) == [str(name) for name in range(6)]

    def test_one_starts_the_moment_a_slot_is_free_whatever_the_others_do(self, told, gate, tmp_path):
        other = Gate(tmp_path / "other")
        with light(2) as pool:
            slow = pool.submit(local_calls.tell_and_wait, told.path, "slow", other.path)
            quick = [
                pool.submit(local_calls.tell_and_wait, told.path, f"quick-{number}", gate.path)
                for number in range(3)
            ]
            told.until("quick-0")
            for number in range(2):
                gate.let_through()
                told.until(f"quick-{number + 1}")
                assert slow.running()
                assert quick[number].result(DEADLINE) == f"quick-{number}"
            assert sum("quick-2" in line for line in told.seen) == 1
            gate.let_through()
            other.let_through()

    def test_no_more_run_at_a_time_than_there_are_slots(self, told, gate):
        with light(2) as pool:
            calls = [pool.submit(local_calls.tell_and_wait, told.path, "begins", gate.path) for _ in range(3)]
            told.until("begins", 2)
            assert [each.running() for each in calls] == [True, True, False]
            gate.let_through(3)

    def test_where_a_call_runs_is_known_then_and_afterwards(self, told, gate):
        with light(3) as pool:
            calls = [
                pool.submit(local_calls.tell_and_wait, told.path, f"call-{number}", gate.path)
                for number in range(3)
            ]
            lines = told.until("call", 3)
            pids = {line.split()[0]: int(line.split()[1]) for line in lines}
            assert pids_of(pool, 3) == {call: pids[f"call-{number}"] for number, call in enumerate(calls)}
            later = pool.submit(local_calls.process)
            assert pool.place(later) is None
            gate.let_through(3)
            assert later.result(DEADLINE)[0] == pool.place(later).pid
        assert pool.pids == {}
        assert [pool.place(call).slot for call in calls] == [0, 1, 2]
        assert {call: pool.place(call).pid for call in calls} == {
            call: pids[f"call-{number}"] for number, call in enumerate(calls)
        }

    @pytest.mark.long
    def test_hundreds_run_at_a_time(self, told, gate):
        with light(200) as pool:
            calls = [
                pool.submit(local_calls.tell_and_wait, told.path, number, gate.path) for number in range(200)
            ]
            told.until("", 200)
            assert len(set(pids_of(pool, 200).values())) == 200
            gate.let_through(200)
            assert [each.result(DEADLINE) for each in calls] == list(range(200))

    @pytest.mark.parametrize("start", ["forkserver", pytest.param("spawn", marks=pytest.mark.long)])
    def test_much_can_be_given_and_returned(self, start):
        much = os.urandom(20_000_000)
        with light(2, start=start) as pool:
            calls = [pool.submit(local_calls.give, much) for _ in range(2)]
            assert all(each.result(DEADLINE) == much for each in calls)

    def test_what_is_given_is_as_it_was_when_it_was_submitted(self, told, gate):
        values = [1]
        with light() as pool:
            pool.submit(local_calls.tell_and_wait, told.path, "first", gate.path)
            call = pool.submit(local_calls.give, values)
            values.append(2)
            gate.let_through()
            assert call.result(DEADLINE) == [1]

    def test_a_call_that_waits_can_be_cancelled(self, told, gate):
        with light() as pool:
            first = pool.submit(local_calls.tell_and_wait, told.path, "first", gate.path)
            second = pool.submit(local_calls.tell, told.path, "second")
            third = pool.submit(local_calls.tell, told.path, "third")
            told.until("first")
            assert second.cancel()
            assert not first.cancel()
            gate.let_through()
            assert wait([first, second, third], DEADLINE).not_done == set()
        assert [line.split()[0] for line in told.until("third")] == ["first", "third"]

    def test_numbers_that_forked_processes_draw_differ(self):
        with LocalProcesses(1, preload=["numpy.random", "random"]) as pool:
            drawn = [pool.submit(local_calls.draw).result(DEADLINE) for _ in range(2)]
        assert drawn[0][0] != drawn[1][0]
        assert drawn[0][1] != drawn[1][1]


class TestDying:
    @pytest.mark.parametrize(
        ("how", "exitcode", "said"),
        [
            ("SIGKILL", -9, "was killed by SIGKILL"),
            ("SIGSEGV", -11, "was killed by SIGSEGV"),
            ("os._exit", 3, "ended with exit code 3 before the call returned"),
            ("os._exit(0)", 0, "ended with exit code 0 before the call returned"),
            ("sys.exit", 4, "ended with exit code 4 before the call returned"),
        ],
    )
    def test_a_call_whose_process_dies_says_how_and_others_go_on(self, told, gate, how, exitcode, said):
        with light(2) as pool:
            other = pool.submit(local_calls.tell_and_wait, told.path, "other", gate.path)
            died = pool.submit(local_calls.crash, how)
            error = died.exception(DEADLINE)
            assert isinstance(error, ProcessDiedError)
            assert (error.exitcode, error.pid, error.slot) == (exitcode, pool.place(died).pid, 1)
            assert f"Process {error.pid}, which ran crash() in slot 1, {said}" in str(error)
            assert pool.submit(local_calls.give, 1).result(DEADLINE) == 1
            assert other.running()
            gate.let_through()
            assert other.result(DEADLINE) == "other"
        assert vars(pickle.loads(pickle.dumps(error))) == vars(error)

    @pytest.mark.parametrize("start", METHODS)
    def test_a_process_that_outlives_a_dead_one_hides_nothing(self, told, gate, start):
        with light(start=start) as pool:
            died = pool.submit(local_calls.leave_one_behind, gate.path, told.path)
            assert isinstance(died.exception(DEADLINE), ProcessDiedError)
            gate.let_through()
            told.until("left behind")

    def test_half_of_a_result_is_none(self):
        with light() as pool:
            died = pool.submit(local_calls.die_while_it_sends)
            assert isinstance(died.exception(DEADLINE), ProcessDiedError)

    def test_a_fork_server_that_is_killed_is_replaced_and_no_process_of_it_lives_on(self, told, tmp_path):
        alive = Told(tmp_path / "alive")
        reading = os.open(alive.path, os.O_RDONLY | os.O_NONBLOCK)
        os.close(alive._descriptor)  # the process alone writes to it now
        with light(2) as pool:
            server = pool.submit(local_calls.process).result(DEADLINE)[1]
            lost = pool.submit(local_calls.live_on, told.path, alive.path)
            told.until("lives")
            os.kill(server, signal.SIGKILL)
            error = lost.exception(DEADLINE)
            assert isinstance(error, ProcessDiedError)
            assert error.exitcode is None
            until_closed(reading)
            assert pool.submit(local_calls.process).result(DEADLINE)[1] != server

    def test_a_call_that_has_begun_is_not_begun_again_though_the_fork_server_has_not_said_so(
        self, told, tmp_path, monkeypatch
    ):
        (tmp_path / "says_nothing.py").write_text(SAYS_NOTHING)
        monkeypatch.syspath_prepend(str(tmp_path))
        with light(preload=["local_calls", "says_nothing"]) as pool:
            lost = pool.submit(local_calls.kill_the_server, told.path)
            error = lost.exception(DEADLINE)
            assert isinstance(error, ProcessDiedError)
            assert (error.exitcode, error.pid) == (None, None)
        assert len(told.until("begins")) == 1

    def test_a_fork_server_that_was_killed_while_nothing_ran_is_replaced(self):
        with light() as pool:
            server = pool.submit(local_calls.process).result(DEADLINE)[1]
            os.kill(server, signal.SIGKILL)
            os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
            assert pool.submit(local_calls.process).result(DEADLINE)[1] != server


SAYS_NOTHING = """
import signal
from multiprocessing.process import BaseProcess

start = BaseProcess.start


def starts_and_waits(process):
    start(process)
    while True:
        signal.pause()


BaseProcess.start = starts_and_waits
"""
"""In a fork server: it does not come to say that it has started a process."""


def until_closed(descriptor):
    """Wait until nobody can write to a pipe any more."""
    ready, _, _ = select.select([descriptor], [], [], DEADLINE)
    assert ready
    assert os.read(descriptor, 1) == b""
    os.close(descriptor)


class TestRaising:
    def test_an_exception_has_its_traceback_as_the_cause(self):
        with light() as pool:
            error = pool.submit(local_calls.fall_over).exception(DEADLINE)
        assert isinstance(error, ValueError)
        assert str(error) == "it fell over"
        assert 'raise ValueError("it fell over")' in str(error.__cause__)
        assert "_outcome" not in str(error.__cause__)

    @pytest.mark.parametrize(
        ("function", "name", "message"),
        [
            (local_calls.raise_one_that_stays, "local_calls.OnlyThere", "salt and pepper"),
            (local_calls.raise_one_with_a_lock, "ValueError", "locked"),
            (local_calls.interrupt, "KeyboardInterrupt", ""),
        ],
    )
    def test_one_that_cannot_be_sent_is_told_in_words(self, function, name, message):
        with light() as pool:
            error = pool.submit(function).exception(DEADLINE)
            assert pool.submit(local_calls.give, 1).result(DEADLINE) == 1
        assert isinstance(error, RemoteError)
        assert (error.type_name, error.message) == (name, message)
        assert f"in {function.__name__}" in error.traceback
        assert error.traceback in str(error)

    def test_a_result_that_cannot_be_sent_says_what_it_is(self):
        with light() as pool:
            error = pool.submit(local_calls.give_what_stays).exception(DEADLINE)
            unread = pool.submit(local_calls.give_what_cannot_be_read).exception(DEADLINE)
        assert isinstance(error, ResultNotPickledError)
        assert error.type_name == "_thread.lock"
        assert "cannot pickle '_thread.lock' object" in str(error)
        assert isinstance(unread, ResultNotPickledError)
        assert "ValueError: it fell over" in str(unread)


class TestSending:
    def test_a_lambda_goes_where_cloudpickle_is_installed(self):
        with light() as pool:
            assert pool.submit(lambda number: number + 1, 1).result(DEADLINE) == 2

    def test_without_it_the_error_says_what_to_do(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
        with light() as pool:
            with pytest.raises(
                NotPickledError, match=r"<lambda>\(\) cannot be sent .*pip install cloudpickle"
            ):
                pool.submit(lambda: 1)
            assert pool.submit(local_calls.give, 1).result(DEADLINE) == 1

    def test_what_nothing_can_send_is_refused_at_once(self):
        with (
            light() as pool,
            pytest.raises(NotPickledError, match=r"'_thread.lock' object\. Define the function"),
        ):
            pool.submit(local_calls.give, threading.Lock())

    @pytest.mark.parametrize("installed", [True, False])
    def test_a_function_of_no_file(self, installed):
        text = f"""
import sys
if not {installed}:
    sys.modules["cloudpickle"] = None
from burr_lightning.tuning.local import LocalProcesses
def doubled(number):
    return 2 * number
with LocalProcesses(preload=[]) as pool:
    print(pool.submit(doubled, 21).result())
"""
        done = subprocess.run(
            [sys.executable, "-"], input=text, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        if installed:
            assert done.stdout == "42\n", done.stderr
        else:
            assert "doubled() cannot be sent to another process: it is defined in a notebook" in done.stderr
            assert "pip install cloudpickle" in done.stderr


class TestSurroundings:
    @pytest.mark.parametrize("start", METHODS)
    def test_a_call_sees_those_that_there_were_when_it_was_submitted(
        self, told, gate, monkeypatch, tmp_path, start
    ):
        monkeypatch.setenv("COLOUR", "red")
        with light(start=start) as pool:
            pool.submit(local_calls.tell_and_wait, told.path, "first", gate.path)
            monkeypatch.setenv("COLOUR", "green")
            (tmp_path / "there").mkdir()
            monkeypatch.chdir(tmp_path / "there")
            monkeypatch.syspath_prepend(str(tmp_path / "there"))
            second = pool.submit(local_calls.surroundings, "COLOUR")
            monkeypatch.delenv("COLOUR")
            monkeypatch.chdir(tmp_path)
            sys.path.pop(0)
            third = pool.submit(local_calls.surroundings, "COLOUR")
            gate.let_through()
            path = list(sys.path)
            there = str(tmp_path / "there")
            assert second.result(DEADLINE) == ("green", there, [there, *path])
            assert third.result(DEADLINE) == (None, str(tmp_path), path)

    def test_signals_are_the_studys(self):
        signal.signal(signal.SIGTERM, before := signal.signal(signal.SIGTERM, signal.SIG_IGN))
        with light() as pool:
            assert pool.submit(local_calls.signals).result(DEADLINE) == [signal.SIG_IGN, signal.SIG_DFL]
        assert signal.getsignal(signal.SIGTERM) == before

    def test_what_the_fork_server_imports_is_there_and_nothing_of_cuda_is(self):
        with LocalProcesses() as pool:
            names = ["lightning.pytorch", "torchmetrics", "burr_lightning.callback"]
            assert pool.submit(local_calls.imported, *names).result(DEADLINE) == [True] * 3
            ours = 2  # the call's, and the one that waits for the end of the study
            assert pool.submit(local_calls.cuda).result(DEADLINE) == (False, ours)

    def test_it_imports_nothing_else_than_what_it_is_told_to(self):
        with LocalProcesses(preload=["numpy"]) as pool:
            names = ["numpy", "torch", "lightning", "optuna"]
            assert pool.submit(local_calls.imported, *names).result(DEADLINE) == [True, False, False, False]

    def test_a_module_that_it_cannot_import_is_named_and_calls_run(self, tmp_path, monkeypatch, caplog):
        (tmp_path / "broken_module.py").write_text("raise ValueError('no luck')\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        with LocalProcesses(preload=["broken_module", "no_such_module", "numpy"]) as pool:
            assert pool.submit(local_calls.imported, "numpy").result(DEADLINE) == [True]
        [record] = caplog.records
        assert "broken_module (ValueError: no luck)" in record.getMessage()
        assert "no_such_module (ModuleNotFoundError: No module named 'no_such_module')" in record.getMessage()

    def test_one_that_ends_it_fails_calls_in_words(self, tmp_path, monkeypatch):
        (tmp_path / "deadly_module.py").write_text("import os; os._exit(1)\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        with LocalProcesses(preload=["deadly_module"]) as pool:
            for _ in range(2):
                error = pool.submit(local_calls.give, 1).exception(DEADLINE)
                assert isinstance(error, ProcessNotStartedError)
                assert "The fork server, which the processes are forked from, ended" in str(error)
                assert "deadly_module" in str(error)


class TestDevices:
    def test_slots_have_them_in_turn(self, told, gate, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937,MIG-7")
        with light(3) as pool:
            holding = [
                pool.submit(local_calls.tell_and_wait, told.path, "holds", gate.path) for _ in range(2)
            ]
            assert pool.submit(local_calls.visible).result(DEADLINE) == "GPU-8932f937"
            told.until("holds", 2)
            assert [pool.place(each).device for each in holding] == ["GPU-8932f937", "MIG-7"]
            gate.let_through(2)

    @pytest.mark.parametrize(("given", "seen"), [(["2,3"], "2,3"), ([], "5,6")])
    def test_those_that_are_given_are_shared_out_and_none_leaves_it(self, monkeypatch, given, seen):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
        with light(devices=given) as pool:
            assert pool.submit(local_calls.visible).result(DEADLINE) == seen

    @pytest.mark.parametrize(
        ("named", "known"), [("", []), ("-1", []), ("3,-1,4", ["3"]), (" 1, 0", ["1", "0"])]
    )
    def test_a_list_ends_where_cuda_ends_it(self, named, known):
        assert of_slots.there_are({"CUDA_VISIBLE_DEVICES": named}) == known

    @pytest.mark.parametrize(("counted", "seen"), [(3, "0"), (0, None)])
    def test_without_a_name_they_are_those_that_the_driver_counts(self, monkeypatch, counted, seen):
        monkeypatch.setattr("torch.cuda.device_count", lambda: counted)
        monkeypatch.setattr(of_slots, "_all", cache(of_slots._all.__wrapped__))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert of_slots.there_are({}) == [str(number) for number in range(counted)]
        with light() as pool:
            assert pool.submit(local_calls.visible).result(DEADLINE) == seen

    @pytest.mark.parametrize("start", METHODS)
    def test_a_script_that_looks_for_them_when_it_is_imported_sees_the_calls(self, tmp_path, start):
        text = f"""
import os
SEEN = os.environ.get("CUDA_VISIBLE_DEVICES")
def seen():
    return SEEN
if __name__ == "__main__":
    with LocalProcesses(start={start!r}, preload=[], devices=["7"]) as pool:
        print(SEEN, pool.submit(seen).result())
"""
        assert script(tmp_path / "study.py", text) == (0, "None 7\n", "")


class TestScripts:
    def test_one_without_a_guard_is_told_what_to_do_and_begins_once(self, tmp_path):
        text = """
print("begins", flush=True)
pool = LocalProcesses(preload=[])
print(pool.submit(local_calls.give, 1).exception())
pool.shutdown()
"""
        code, out, err = script(tmp_path / "study.py", text)
        assert (code, err) == (0, "")
        assert out.count("begins") == 2  # here, and when the process imported it
        assert "give() was not begun" in out
        assert "NestedStudyError: LocalProcesses(workers=1): this is a process that was started to run" in out
        assert 'below `if __name__ == "__main__":`' in out

    @pytest.mark.parametrize("start", METHODS)
    def test_a_function_of_one_with_a_guard_runs_and_one_below_it_is_missed_in_words(self, tmp_path, start):
        text = f"""
def above():
    return "above"
if __name__ == "__main__":
    def below():
        return "below"
    with LocalProcesses(start={start!r}, preload=[]) as pool:
        print(pool.submit(above).result())
        print(pool.submit(below).exception())
"""
        code, out, err = script(tmp_path / "study.py", text)
        assert (code, err) == (0, "")
        assert out.startswith("above\nbelow() was not begun")
        assert "Can't get attribute 'below'" in out
        assert f"Each process imports your script {tmp_path / 'study.py'} again" in out

    def test_one_that_ends_without_a_word_ends_when_its_calls_have(self, tmp_path, told):
        text = """
import sys
if __name__ == "__main__":
    LocalProcesses(preload=[]).submit(local_calls.tell, sys.argv[1], "called")
"""
        assert script(tmp_path / "study.py", text, told.path) == (0, "", "")
        assert told.until("called") == ["called"]

    def test_ctrl_c_reaches_no_call_and_neither_does_a_signal_to_all_end_the_fork_server(
        self, tmp_path, told
    ):
        gate = Gate(tmp_path / "gate")
        text = """
import os, signal, sys
if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"asked to end\\n"))
    with LocalProcesses(preload=[]) as pool:
        call = pool.submit(local_calls.end_well, sys.argv[1], "call", sys.argv[2])
        try:
            print("waits", flush=True)
            call.result()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        print(call.result(), flush=True)
"""
        with running(tmp_path / "study.py", text, told.path, gate.path) as study:
            told.until("begins")
            study.until("waits")
            os.killpg(study.process.pid, signal.SIGINT)
            study.until("interrupted")
            assert told.seen == ["call begins"]
            os.killpg(study.process.pid, signal.SIGTERM)
            told.until("commits")
            gate.let_through()
            study.until("committed")
            assert study.process.wait(DEADLINE) == 0

    @pytest.mark.parametrize("start", METHODS)
    def test_no_process_outlives_the_study(self, tmp_path, told, start):
        text = f"""
import sys
if __name__ == "__main__":
    pool = LocalProcesses(2, start={start!r}, preload=[])
    for _ in range(2):
        pool.submit(local_calls.live_on, sys.argv[1], "/dev/null")
"""
        with running(tmp_path / "study.py", text, told.path) as study:
            told.until("lives", 2)
            study.process.kill()
            study.process.wait(DEADLINE)
            # All of them, the fork server as well, have the study's output open.
            until_closed(study.process.stdout.fileno())


class running(Lines):  # noqa: N801
    """A script that goes on beside the test, in a process group of its own."""

    def __init__(self, path, text, *arguments):
        path.write_text(f"from burr_lightning.tuning.local import LocalProcesses\nimport local_calls\n{text}")
        command = [sys.executable, str(path), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        super().__init__(self.process.stdout.fileno())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(DEADLINE)
        with suppress(OSError):  # the test may have closed it
            self.process.stdout.close()


def tidied():
    """Let what earlier pools leave behind come to its end, so that what is there can be counted."""
    gc.collect()
    for thread in threading.enumerate():
        if thread.name == "LocalProcesses":
            thread.join(DEADLINE)


class TestEnding:
    def test_those_that_run_are_asked_to_end_and_those_that_wait_are_cancelled(self, told, gate):
        with light(2, grace=DEADLINE) as pool:
            running = [pool.submit(local_calls.end_well, told.path, f"call-{n}", gate.path) for n in range(2)]
            waiting = pool.submit(local_calls.tell, told.path, "waited")
            told.until("begins", 2)
            stopping = threading.Thread(target=pool.stop)
            stopping.start()
            told.until("commits", 2)
            wait([waiting], DEADLINE)
            assert waiting.cancelled()
            assert all(call.running() for call in running)  # it waits for them
            gate.let_through(2)
            stopping.join(DEADLINE)
            assert [call.result(0) for call in running] == ["committed"] * 2
            with pytest.raises(RuntimeError, match="after shutdown"):
                pool.submit(local_calls.count)
            assert not any("waited" in line for line in told.seen)

    def test_one_that_does_not_end_is_killed_after_the_grace(self, told):
        with light(grace=0.01) as pool:
            call = pool.submit(local_calls.end_by_no_means, told.path)
            told.until("begins")
            pool.stop()
            assert call.exception(0).exitcode == -signal.SIGKILL

    def test_one_that_takes_no_notice_of_it_ends_by_sigterm(self, told, gate):
        with light(grace=DEADLINE) as pool:
            call = pool.submit(local_calls.tell_and_wait, told.path, "begins", gate.path)
            told.until("begins")
            pool.stop()
            assert call.exception(0).exitcode == -signal.SIGTERM

    def test_a_callback_may_stop_everything(self, told, gate):
        with light(2, grace=DEADLINE) as pool:
            other = pool.submit(local_calls.tell_and_wait, told.path, "begins", gate.path)
            told.until("begins")
            pool.submit(local_calls.count).add_done_callback(lambda _: pool.stop())
            assert isinstance(other.exception(DEADLINE), ProcessDiedError)
            pool.stop()

    def test_shutting_down_lets_calls_end_unless_they_are_to_be_cancelled(self, told, gate):
        with light() as pool:
            first = pool.submit(local_calls.tell_and_wait, told.path, "first", gate.path)
            second, third = (pool.submit(local_calls.give, number) for number in range(2))
            pool.shutdown(wait=False)
            assert not first.done()
            with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
                pool.submit(local_calls.count)
            third.cancel()
            gate.let_through()
            assert second.result(DEADLINE) == 0
            pool.shutdown()

        with light() as pool:
            first = pool.submit(local_calls.tell_and_wait, told.path, "again", gate.path)
            second = pool.submit(local_calls.give, 1)
            told.until("again")
            pool.shutdown(wait=False, cancel_futures=True)
            with pytest.raises(CancelledError):
                second.result(0)
            gate.let_through()
            pool.shutdown()
            assert first.result(0) == "again"

    def test_nothing_is_left(self, told):
        light().shutdown()  # what is opened once and for all is open
        tidied()
        threads, files, processes = threading.active_count(), open_files(), children()
        with light(4) as pool:
            calls = [pool.submit(local_calls.crash, "SIGKILL") for _ in range(4)]
            calls += [pool.submit(local_calls.give, bytes(1_000_000)) for _ in range(8)]
            wait(calls, DEADLINE)
        tidied()
        assert (threading.active_count(), open_files(), children()) == (threads, files, processes)

    def test_one_that_is_idle_has_no_thread_and_one_that_is_dropped_no_server(self):
        tidied()
        threads, processes = threading.active_count(), children()
        pool = light()
        called = threading.Event()
        pool.submit(local_calls.count).add_done_callback(lambda _: called.set())
        assert called.wait(DEADLINE)
        tidied()
        assert threading.active_count() == threads
        assert children() > processes
        del pool
        gc.collect()
        assert children() == processes

    def test_one_may_be_collected_in_the_middle_of_its_own_work(self):
        processes = children()
        pools = [light()]
        work = pools[0]._watch

        def collect():
            with work._lock:
                pools.clear()
                gc.collect()

        collecting = threading.Thread(target=collect, daemon=True)
        collecting.start()
        collecting.join(DEADLINE)
        assert not collecting.is_alive()
        assert children() == processes

    def test_one_that_is_dropped_ends_what_it_was_given(self, told, gate):
        def submitted() -> list[Future[object]]:
            pool = light()
            call = pool.submit(local_calls.tell_and_wait, told.path, "first", gate.path)
            return [call, pool.submit(local_calls.give, 2)]

        processes = children()
        calls = submitted()
        gc.collect()
        gate.let_through()
        assert [call.result(DEADLINE) for call in calls] == ["first", 2]
        by_and_by(lambda: children() == processes)  # the thread that ends the server is nobody's any more


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, r"LocalProcesses\(workers=0\): it takes a whole number of 1 or more"),
        ({"workers": True}, "a whole number"),
        ({"workers": 10**7}, "Allow more with 'ulimit -n"),
        ({"start": "fork"}, r"LocalProcesses\(start='fork'\): it takes 'forkserver' or 'spawn'"),
        ({"grace": -1}, "it takes seconds, 0 or more"),
        ({"grace": float("nan")}, "it takes seconds"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        LocalProcesses(**options)


class TestThreads:
    """Processes beside each other share the cores out; more threads than cores only wait for one another."""

    @pytest.mark.parametrize("start", METHODS)
    def test_several_share_the_cores(self, start, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        with LocalProcesses(2 * of_slots.cores(), start=start) as pool:
            assert pool.submit(local_calls.threads).result() == (1, "1")

    def test_what_the_user_says_counts(self, monkeypatch):
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        with LocalProcesses(2 * of_slots.cores(), start="spawn") as pool:
            assert pool.submit(local_calls.threads).result() == (min(2, of_slots.cores()), "2")

    def test_one_has_all(self, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        with LocalProcesses(1) as pool:
            assert pool.submit(local_calls.threads).result()[1] is None
