"""A study on a real Ray of two nodes, one of which is lost, with its rows in a real PostgreSQL."""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import local_calls
import pytest
import ray
import trials_on_ray
from at_work import DEADLINE, Gate, Told
from burr.integrations.ray import RayExecutor as OfBurr
from pools import NotWaitedFor, by_and_by, placed
from ray.cluster_utils import Cluster
from study_on_ray import study

from burr_lightning import Run
from burr_lightning.errors import (
    ArgumentError,
    NotPickledError,
    NoTrialFinishedError,
    ProcessDiedError,
    ProcessLostError,
    ProcessNotStartedError,
    RemoteError,
)
from burr_lightning.tuning import Ledger
from burr_lightning.tuning.ray import RayProcesses
from burr_lightning.tuning.worker import run_trial

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.1"}

HEAD = {"node:__internal_head__": 1}
"""What one call at a time can have."""


class PatientCluster(Cluster):
    """Ray's cluster for tests, which gives a new node 30 seconds: too few on a busy machine."""

    def _wait_for_node(self, node, timeout=DEADLINE):
        super()._wait_for_node(node, timeout)


class Nodes:
    """A Ray cluster on this machine: a head, and a second node wherever a test asks for it."""

    def __init__(self):
        self.cluster = PatientCluster(True, head_node_args={"include_dashboard": False, **NODE})
        self._second = None

    @property
    def second(self):
        """What Ray calls the second node; it has two of what is called "second"."""
        if self._second is None:
            self._second = self.cluster.add_node(resources={"second": 2}, **NODE)
        return self._second.node_id

    def lose_second(self):
        node, self._second = self._second, None
        self.cluster.remove_node(node, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """The cluster, and this process connected to it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, pytest.MonkeyPatch.context() as environment:
        paths = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
        environment.setenv("RAY_TMPDIR", folder)  # short, for the names of sockets
        environment.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        environment.setenv("PYTHONPATH", os.pathsep.join(paths))
        nodes = Nodes()
        try:
            ray.init(address=nodes.cluster.address, log_to_driver=False)
            yield nodes
        finally:
            ray.shutdown()
            nodes.cluster.shutdown()


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path / "told")


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


class Pool(NotWaitedFor, RayProcesses):
    pass


def light(**options):
    """Whose fork servers import next to nothing."""
    return Pool(**{"preload": ["local_calls"], **options})


def raised(future):
    """What a call raised."""
    return future.exception(DEADLINE)


class TestCalls:
    def test_each_has_a_fresh_process_beside_one_of_ray_s(self, nodes):
        with light() as pool:
            counted = [pool.submit(local_calls.count) for _ in range(3)]
            assert [each.result(DEADLINE) for each in counted] == [1, 1, 1]
            places = [pool.place(each) for each in counted]
            assert len({each.pid for each in places}) == 3
            here = pool.submit(local_calls.process)
            assert here.result(DEADLINE)[0] == pool.place(here).pid
            of_ray = pool.submit(lambda: getattr(sys.modules["__main__"], "__file__", None))
            assert of_ray.result(DEADLINE) is None  # its process has not run Ray's program
            assert str(places[0]) == f"worker {places[0].worker} on 127.0.0.1"

    def test_a_function_of_the_script_is_sent_as_it_is(self, nodes):
        factor = 3
        with light() as pool:
            assert pool.submit(lambda value: value * factor, 2).result(DEADLINE) == 6

    def test_what_it_raises_comes_with_its_traceback(self, nodes):
        with light() as pool:
            error = raised(pool.submit(local_calls.fall_over))
            assert (type(error), str(error)) == (ValueError, "it fell over")
            assert "in fall_over" in str(error.__cause__)
            stays = raised(pool.submit(local_calls.raise_one_that_stays))
            assert isinstance(stays, RemoteError)
            assert stays.type_name == "local_calls.OnlyThere"
            timeout = pool.submit(partial(_raise, TimeoutError("too late")))
            assert repr(raised(timeout)) == "TimeoutError('too late')"

    def test_one_whose_process_dies_takes_no_other_with_it(self, nodes):
        with light() as pool:
            died = raised(pool.submit(local_calls.crash, "SIGKILL"))
            assert (type(died), died.exitcode) == (ProcessDiedError, -9)
            assert f"Process {died.pid}, which ran crash() on 127.0.0.1, was killed by SIGKILL" in str(died)
            assert pool.submit(local_calls.give, 1).result(DEADLINE) == 1

    @pytest.mark.long
    def test_one_whose_ray_worker_dies_is_lost_and_not_begun_again(self, nodes, told, gate):
        with light() as pool:
            future = pool.submit(local_calls.tell_and_wait, told.path, "begins", gate.path)
            told.until("begins")
            os.kill(placed(pool, future).worker, 9)
            lost = raised(future)
            assert type(lost) is ProcessLostError
            assert (lost.node, lost.pid) == ("127.0.0.1", pool.place(future).pid)
            assert "was lost: the process of Ray's that saw to it there has died" in str(lost)
            assert pool.submit(local_calls.give, 1).result(DEADLINE) == 1
            assert told.seen == [f"begins {lost.pid}"]

    def test_what_cannot_be_sent_is_refused_and_what_a_node_lacks_is_said(self, nodes):
        with light() as pool:
            with pytest.raises(NotPickledError, match=r"pow\(\) cannot be sent to another process"):
                pool.submit(pow, threading.Lock())
            error = raised(pool.submit(Gone()))
            assert isinstance(error, ProcessNotStartedError)
            assert "No module named 'only_on_the_laptop'" in str(error)

    def test_one_that_waits_can_be_cancelled(self, nodes, told, gate):
        with light(num_cpus=0, resources=HEAD) as pool:
            first = pool.submit(local_calls.tell_and_wait, told.path, "first", gate.path)
            told.until("first")
            placed(pool, first)
            second = pool.submit(local_calls.tell, told.path, "second")
            third = pool.submit(local_calls.give, 3)
            assert (first.cancel(), second.cancel()) == (False, True)
            gate.let_through()
            assert third.result(DEADLINE) == 3
            assert wait([first, second], DEADLINE).not_done == set()
            assert second.cancelled()
        assert len(told.seen) == 1


def _raise(error):
    raise error


class Gone:
    """A call of a module that no node has."""

    __qualname__ = "train"

    def __call__(self):
        raise NotImplementedError

    def __reduce__(self):
        return __import__, ("only_on_the_laptop",)


class TestResources:
    @pytest.mark.long
    def test_a_node_runs_as_many_as_it_has_what_they_ask_for(self, nodes, told, gate):
        second = nodes.second
        with light(num_cpus=0, resources={"second": 1}) as pool:
            futures = [
                pool.submit(local_calls.tell_and_wait, told.path, number, gate.path) for number in range(3)
            ]
            told.until(" ", count=2)
            by_and_by(lambda: ray.available_resources().get("second", 0) == 0)  # Ray counts now and then
            assert len(told.seen) == 2
            gate.let_through()
            told.until(" ", count=3)
            gate.let_through(2)
            assert [each.result(DEADLINE) for each in futures] == [0, 1, 2]
            assert {pool.place(each).node_id for each in futures} == {second}
            assert len({pool.place(each).worker for each in futures}) == 2

    def test_what_no_node_has_is_said_and_waited_for(self, nodes, caplog):
        caplog.set_level(logging.WARNING, "burr_lightning")
        with light(num_gpus=1) as pool:
            futures = [pool.submit(local_calls.give, 1) for _ in range(2)]
            assert len(caplog.messages) == 1
            assert "a call asks for CPU 1, GPU 1, and no node has that: 127.0.0.1 has" in caplog.text
            assert all(each.cancel() for each in futures)


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"start": "fork"}, r"RayProcesses\(start='fork'\): it takes 'forkserver' or 'spawn'"),
            ({"grace": -1}, r"RayProcesses\(grace=-1\): it takes seconds, 0 or more"),
            ({"max_retries": 3}, r"RayProcesses\(max_retries=3\): each call is begun once"),
            ({"gpus": 1}, r"RayProcesses\(num_cpus=1, num_gpus=0, gpus=1\): Ray does not take that: .*gpus"),
            ({"num_cpus": -1}, r"RayProcesses\(num_cpus=-1, num_gpus=0\): Ray does not take that"),
            ({"address": "ray://head:10001"}, r"RayProcesses\('ray://head:10001'\): Ray's client cannot"),
        ],
    )
    def test_what_it_cannot_use(self, options, said):
        with pytest.raises(ArgumentError, match=said):
            RayProcesses(**options)

    def test_ray_where_it_is_not_installed(self):
        program = "import sys\nsys.modules['ray'] = None\nimport burr_lightning.tuning.ray"
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert done.returncode == 1
        assert "MissingExtraError: burr_lightning.tuning.ray: this needs the package ray: pip" in done.stderr


class TestStopping:
    def test_those_that_run_end_by_sigterm_and_those_that_wait_never_begin(self, nodes, told, gate):
        pool = light(num_cpus=0, resources=HEAD)
        future = pool.submit(local_calls.end_well, told.path, "first", gate.path)
        waits = pool.submit(local_calls.tell, told.path, "second")
        told.until("begins")
        placed(pool, future)
        gate.let_through()
        pool.stop()
        assert told.until("commits") == ["first begins", "first commits"]
        assert "was lost: it was stopped" in str(raised(future))
        with pytest.raises(CancelledError):
            waits.result()
        with pytest.raises(RuntimeError, match="after shutdown"):
            pool.submit(local_calls.give, 1)

    def test_one_that_does_not_end_is_ended_after_the_grace(self, nodes, told):
        pool = light(grace=0.1)
        future = pool.submit(local_calls.end_by_no_means, told.path)
        told.until("begins")
        pid = placed(pool, future).pid
        pool.stop()
        assert isinstance(raised(future), ProcessLostError)
        assert not Path(f"/proc/{pid}").exists()


class AtOnce(Executor):
    """Runs what it is given here and now."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def run_of(trial, url):
    return Run.open(trial.run_id, persister=url)


def epochs_of(run):
    return [
        {name: value for name, value in epoch.items() if name != "seconds"}
        for epoch in run.history.to_dicts()
    ]


def told_of(study, url):
    """What each trial came to: its rate, its value, its run's history, and its weights in the end."""
    return [
        (
            dict(trial.params),
            trial.value,
            epochs_of(run_of(trial, url)),
            (study.settings.folder.root / f"{trial.run_id}.weights").read_text(),
        )
        for trial in study.trials
    ]


def undisturbed():
    """What each trial comes to in this process, with its rows beside it."""
    return told_of(study("whole", AtOnce(), trials_on_ray.train, None).run(), None)


def ended(*pids):
    """Wait until one of these processes is gone."""
    poll = select.poll()
    with suppress(ProcessLookupError), ExitStack() as opened:
        for pid in pids:
            descriptor = os.pidfd_open(pid)
            opened.callback(os.close, descriptor)
            poll.register(descriptor, select.POLLIN)
        assert poll.poll(DEADLINE * 1000)


class TestStudy:
    def test_an_objective_that_fails_is_written_down_with_its_traceback(self, nodes, postgresql):
        with light() as pool:
            failed = study("fails", pool, trials_on_ray.fails, postgresql.url, monitor=None, n_trials=1)
            with pytest.raises(NoTrialFinishedError):
                failed.run()
        trial = failed.trials[0]
        assert (trial.status, trial.attempts) == ("failed", 1)
        assert "in fails" in trial.reason
        assert "ZeroDivisionError: no data for 0" in trial.reason

    def test_a_trial_that_is_stopped_commits_and_goes_on_from_there(self, nodes, told, postgresql):
        of = study("alone", AtOnce(), partial(trials_on_ray.train, told=told.path), postgresql.url)
        of.settings.folder.create()
        ledger = Ledger().suggested({"learning_rate": 2e-3}, "alone-0")
        pool = Pool()
        future = pool.submit(run_trial, of.settings.task(ledger[0], 0))
        told.until("halts")
        placed(pool, future)
        pool.stop()
        assert isinstance(raised(future), ProcessLostError)
        run = run_of(ledger[0], postgresql.url)
        assert (run.status, run.state["epoch"]) == ("interrupted", 1)
        (between,) = run.commits[-1].path.parent.glob("*-batch=*")
        assert "epoch=00002-step=00000010" in between.name
        with Pool() as pool:
            again = ledger.launched(0, at=0.0).set_back(0, "stopped", died=False)
            outcome = pool.submit(run_trial, of.settings.task(again[0], 0)).result(DEADLINE)
        assert (outcome.status, outcome.step) == ("finished", trials_on_ray.EPOCHS - 1)
        run = run_of(ledger[0], postgresql.url)
        assert [epoch["epoch"] for epoch in epochs_of(run)] == list(range(trials_on_ray.EPOCHS))
        same = study("same", AtOnce(), trials_on_ray.train, None)
        same.settings.folder.create()
        run_trial(same.settings.task(Ledger().suggested({"learning_rate": 2e-3}, "same-0")[0], 0))
        root = same.settings.folder.root
        assert (root / "alone-0.weights").read_text() == (root / "same-0.weights").read_text()

    def test_a_study_that_is_killed_takes_its_trial_with_it_and_goes_on(self, nodes, told, postgresql):
        script = Path(__file__).parent / "study_on_ray.py"
        address = {"RAY_ADDRESS": nodes.cluster.address}
        command = [sys.executable, script, postgresql.url, told.path]
        with subprocess.Popen(command, env={**os.environ, **address}) as process:
            try:
                (halts,) = told.until("halts")
            finally:  # where it says nothing, it is not waited for
                process.kill()
        ended(int(halts.split()[-1]))
        with Pool() as pool:
            killed = study("killed", pool, trials_on_ray.train, postgresql.url).run()
        assert told_of(killed, postgresql.url) == undisturbed()

    def test_burr_s_own_executor_runs_one_as_well(self, nodes, postgresql):
        ran = study("burr", OfBurr(), trials_on_ray.rate, postgresql.url, monitor=None, parallel=2).run()
        assert [(trial.status, trial.value) for trial in ran.trials] == [
            ("finished", trial.params["learning_rate"]) for trial in ran.trials
        ]
        assert sorted(trial.value for trial in ran.trials) == sorted(trials_on_ray.RATES)

    def test_a_trial_whose_node_is_lost_goes_on_elsewhere_as_if_nothing_had_happened(
        self, nodes, told, gate, postgresql
    ):
        assert nodes.second
        with ThreadPoolExecutor(1) as beside, Pool() as pool:
            halts = partial(trials_on_ray.train, told=told.path, gate=gate.path)
            lost = study("lost", pool, halts, postgresql.url, parallel=2)
            running = beside.submit(lost.run)
            lines = told.until("halts", count=2)  # in the middle of their third epoch
            nodes.lose_second()
            ended(
                *(int(line.split()[-1]) for line in lines)
            )  # while it lives, it may take what opens the gate
            gate.let_through()
            running.result(DEADLINE)
        attempts = [trial.attempts for trial in lost.trials]
        assert [trial.status for trial in lost.trials] == ["finished"] * 3
        assert sorted(attempts) == [1, 1, 2]
        again = run_of(lost.trials[attempts.index(2)], postgresql.url)
        assert [epoch["epoch"] for epoch in epochs_of(again)] == list(range(trials_on_ray.EPOCHS))
        assert told_of(lost, postgresql.url) == undisturbed()
