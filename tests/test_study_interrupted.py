"""A study that is interrupted between any two of its steps, or in the middle of one."""

import math
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from at_work import DEADLINE
from burr.core.persistence import SQLitePersister
from optuna.distributions import FloatDistribution
from optuna.samplers import NSGAIISampler, RandomSampler
from pools import LocalPool

from burr_lightning.tuning import InProcess, Study, max_seconds, no_improvement, target
from burr_lightning.tuning.interrupting import Signals

SPACE = {"x": FloatDistribution(-10.0, 10.0)}
VALUES = [5.0, 4.0, 4.5, 3.0, 3.5, 3.2, 2.0, 1.0, 0.5]


class Killed(BaseException):
    """What stands for a process that is gone: nothing more is written."""


class Stopping(SQLitePersister):
    """Rows after one of which the process is interrupted, or gone."""

    def __init__(self, path, at, how):
        # What raises keeps it alive for the garbage collector, which may come in a thread of another test.
        super().__init__(str(path), connect_kwargs={"check_same_thread": False})
        self.initialize()
        self._left, self._how = at, how

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        self._left -= 1
        if self._left == 0:
            raise self._how


def study(run_id, fn=None, **options):
    given = {
        "space": SPACE,
        "n_trials": 9,
        "seed": 3,
        "executor": InProcess(),
        "sampler": RandomSampler(),
        "tracker": False,
        **options,
    }
    return Study(fn or (lambda trial: VALUES[trial.number]), run_id=run_id, **given)


def tried(of):
    return [(dict(trial.params), trial.status, trial.value) for trial in of.trials]


def is_soon(condition):
    """Whether something holds before a test gives up."""
    until = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return condition()


CONDITIONS = {
    "target": lambda: target(3.2),
    "no_improvement": lambda: no_improvement(2),
    "max_seconds": lambda: max_seconds(1e-9),
}


@pytest.mark.parametrize("stop_when", CONDITIONS.values(), ids=CONDITIONS)
def test_what_ended_a_study_ends_it_also_where_it_is_run_again(stop_when):
    ran = [study("again", stop_when=stop_when()).run() for _ in range(3)]
    assert tried(ran[0]) == tried(ran[1]) == tried(ran[2])
    assert ran[0].stop_reason == ran[2].stop_reason
    assert len(study("again").run().trials) == 9


@pytest.mark.parametrize("how", [Killed, KeyboardInterrupt])
@pytest.mark.parametrize("stop_when", CONDITIONS.values(), ids=CONDITIONS)
def test_it_ends_where_it_would_have_wherever_it_is_interrupted(stop_when, how, tmp_path):
    whole = study("whole", stop_when=stop_when()).run()
    for row in range(1, 3 * len(whole.trials) + 1):
        options = {"stop_when": stop_when(), "persister": Stopping(tmp_path / f"{row}.sqlite", row, how)}
        with pytest.raises(how):
            study(f"cut-{row}", **options).run()
        gone_on = study(f"cut-{row}", **options).run()
        assert (row, tried(gone_on)) == (row, tried(whole))
        if "max_seconds" not in whole.stop_reason:
            assert gone_on.stop_reason == whole.stop_reason


def test_a_reason_is_final_though_a_trial_that_was_waited_for_is_better():
    values = [1.0, 0.5, 9.0, 9.0, 9.0, 9.0]
    run = []

    def waits(trial):
        assert trial.number != 1 or is_soon(lambda: run[-1].state["stop_reason"] is not None)
        return values[trial.number]

    for _ in range(2):
        with ThreadPoolExecutor(2) as pool:
            options = {"parallel": 2, "n_trials": 6, "stop_when": no_improvement(1)}
            run.append(study("both", waits, executor=pool, **options))
            run[-1].run()
        assert [trial.value for trial in run[-1].trials] == values[:3]
        assert run[-1].stop_reason == "no_improvement(1): 1 trials since the best one"


def test_another_condition_is_asked_of_what_there_is():
    assert len(study("other", stop_when=target(4.0)).run().trials) == 2
    assert len(study("other", stop_when=target(4.5)).run().trials) == 2
    assert Study.open("other").stop_reason == "target(4.5): trial 1 came to 4"
    assert len(study("other", stop_when=target(3.0)).run().trials) == 4


def test_fewer_trials_than_there_are_say_so():
    with pytest.raises(KeyboardInterrupt):
        study("fewer", fn=stops_at(4)).run()
    assert study("fewer", n_trials=2).run().stop_reason == "n_trials=2: 5 trials are over"


def stops_at(number):
    begun = []

    def objective(trial):
        begun.append(trial.number)
        if begun == [*range(number + 1)]:
            raise KeyboardInterrupt
        return VALUES[trial.number]

    return objective


class Interrupted(ThreadPoolExecutor):
    """Takes a trial, and the study is interrupted before it can write that down."""

    def __init__(self, at):
        super().__init__(1)
        self._left = at

    def submit(self, fn, /, *args, **kwargs):
        future = super().submit(fn, *args, **kwargs)
        self._left -= 1
        if self._left == 0:
            return InterruptsWhenKept(future)
        return future


class InterruptsWhenKept(Future):
    """A call of which a study asks to hear when it is done, just as it is interrupted."""

    def __init__(self, future):
        super().__init__()
        self.set_result(future.result())

    def add_done_callback(self, fn):
        raise KeyboardInterrupt


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_trial_that_was_launched_as_the_study_was_interrupted_is_written_down(parallel):
    with pytest.raises(KeyboardInterrupt):
        study("launched", executor=Interrupted(3), n_trials=6, parallel=parallel).run()
    stored = Study.open("launched")
    assert [trial.status for trial in stored.trials[:3]] == ["finished"] * 3
    assert stored.stop_reason is None
    assert stored.state["interrupted"] == "Ctrl-C"
    assert tried(study("launched", n_trials=6).run()) == tried(study("whole", n_trials=6).run())


def test_no_false_end_is_written_where_the_launch_comes_after_a_record():
    with pytest.raises(KeyboardInterrupt):
        study("ends", fn=stops_at(1), n_trials=6).run()
    with pytest.raises(KeyboardInterrupt):
        study("ends", executor=Interrupted(1), n_trials=6).run()
    stored = Study.open("ends")
    assert (stored.stop_reason, [trial.status for trial in stored.trials]) == (None, ["finished"] * 2)


class InterruptsAfter(NSGAIISampler):
    """Interrupts the study when it is told of a trial, once the sampler has taken that in."""

    told = 0

    def after_trial(self, study, trial, state, values):
        super().after_trial(study, trial, state, values)
        InterruptsAfter.told += 1
        if InterruptsAfter.told == 3:
            study._storage.set_trial_state_values(trial._trial_id, state, values)
            raise KeyboardInterrupt


def test_a_sampler_that_was_told_of_a_trial_is_not_told_again_as_the_study_stops():
    InterruptsAfter.told = 0
    with pytest.raises(KeyboardInterrupt):
        study("told", sampler=InterruptsAfter(population_size=2)).run()
    assert [trial.status for trial in Study.open("told").trials] == ["finished"] * 3


def test_the_time_of_all_processes_counts_also_of_those_that_were_interrupted():
    def slow(trial):
        time.sleep(0.2)
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            study("slow", slow).run()
    assert Study.open("slow").state["seconds"] > 0.4


def test_a_trial_has_begun_before_it_has_ended():
    (trial,) = study("order", lambda trial: time.sleep(0.1) or 1.0, n_trials=1).run().trials
    assert trial.ended - trial.started >= 0.05  # the clock may be put right meanwhile


@pytest.mark.parametrize("error", [SystemExit(7), KeyboardInterrupt()])
def test_what_a_worker_raises_is_its_own_death_and_no_signal_to_the_study(error):
    class Raises(InProcess):
        def submit(self, fn, /, task):
            future = super().submit(fn, task)
            if task.number == 1:
                future = Future()
                future.set_exception(error)
            return future

    ran = study("worker", executor=Raises(), n_trials=3, attempts=2).run()
    assert [trial.status for trial in ran.trials] == ["finished", "failed", "finished"]
    assert type(error).__name__ in ran.trials[1].reason


@pytest.mark.parametrize("then", [lambda: sys.exit(1), lambda: 1.0], ids=["exits", "goes on"])
def test_ctrl_c_is_told_as_such_whatever_the_code_that_it_hits_makes_of_it(then):
    def trains(trial):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        except KeyboardInterrupt:
            return then()

    with pytest.raises(KeyboardInterrupt):
        study("hit", trains).run()
    stored = Study.open("hit")
    assert (stored.state["interrupted"], len(stored.trials)) == ("Ctrl-C", 1)


@pytest.fixture
def may_hang_up():
    """The tests may run under nohup, and other ones hear what one of them leaves."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_ends_it_as_sigterm_does_also_without_other_processes(may_hang_up):
    def trains(trial):
        os.kill(os.getpid(), signal.SIGHUP)

    with pytest.raises(SystemExit) as raised:
        study("hung-up", trains).run()
    assert raised.value.code == 128 + signal.SIGHUP
    stored = Study.open("hung-up")
    assert stored.state["interrupted"] == "SIGHUP"
    assert [trial.status for trial in stored.trials] == ["waiting"]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_a_hangup_that_somebody_else_hears_is_left_to_them(may_hang_up):
    heard = []
    signal.signal(signal.SIGHUP, lambda *_: heard.append("hangup"))

    def trains(trial):
        os.kill(os.getpid(), signal.SIGHUP)
        return 1.0

    ran = study("left", trains, n_trials=1).run()
    assert (heard, ran.trials[0].status) == (["hangup"], "finished")


def test_a_second_ctrl_c_does_not_wait_and_a_second_sigterm_says_nothing_new(caplog, monkeypatch):
    over = threading.Event()
    raised_by = []

    def hears(signals, number, frame):
        raised_by.append(True)
        hear(signals, number, frame)
        raised_by[-1] = False

    hear = Signals._hear
    monkeypatch.setattr(Signals, "_hear", hears)

    def asks():
        os.kill(os.getpid(), signal.SIGTERM)
        if is_soon(lambda: "is interrupted by SIGTERM" in caplog.text):
            os.kill(os.getpid(), signal.SIGTERM)
            if is_soon(lambda: raised_by == [True, False]):
                os.kill(os.getpid(), signal.SIGINT)
                return
        over.set()

    def trains(trial):
        if trial.number == 1:
            threading.Thread(target=asks).start()
            over.wait()
        return 1.0

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(SystemExit) as raised:
            study("twice", trains, executor=pool).run()
        stored = Study.open("twice")
        over.set()
    assert raised.value.code == 128 + signal.SIGTERM
    assert raised_by[:2] == [True, False]
    assert "Ctrl-C again" in caplog.text
    assert [trial.status for trial in stored.trials] == ["finished", "waiting"]
    assert stored.state["interrupted"] == "SIGTERM"


def test_a_second_ctrl_c_ends_processes_that_take_their_time(tmp_path, monkeypatch, caplog):
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    monkeypatch.setenv("BEGUN", str(begun))
    monkeypatch.setenv("ENDED", str(ended))

    def asks():
        if is_soon(begun.exists):
            os.kill(os.getpid(), signal.SIGINT)
            # Otherwise the study has ended, and a second signal would be the tests' own.
            if is_soon(lambda: "is interrupted by Ctrl-C" in caplog.text):
                os.kill(os.getpid(), signal.SIGINT)

    with LocalPool(1, preload=[], grace=math.inf) as pool:
        asking = threading.Thread(target=asks)
        asking.start()
        with pytest.raises(KeyboardInterrupt):
            study("slow", takes_its_time, executor=pool).run()
        asking.join()
    assert not ended.exists()
    assert [trial.status for trial in Study.open("slow").trials] == ["waiting"]


def takes_its_time(trial):
    """Longer than anything is waited for."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path(os.environ["BEGUN"]).touch()
    time.sleep(3 * DEADLINE)
    Path(os.environ["ENDED"]).touch()
