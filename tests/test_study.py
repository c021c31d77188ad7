"""A study: what is tried, what is written down, and that it goes on as if nothing had happened."""

import json
import math
import os
import re
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import optuna
import pytest
from burr.core import Condition
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau
from burr_lightning.errors import (
    ArgumentError,
    NameTakenError,
    NoTrialFinishedError,
    ProcessDiedError,
    RunIdError,
    StudyLockedError,
)
from burr_lightning.testing import ScriptedModule, scripted_loader
from burr_lightning.tuning import InProcess, LocalProcesses, Study, max_seconds, no_improvement, target

SPACE = {
    "x": FloatDistribution(-10.0, 10.0),
    "n": IntDistribution(1, 8),
    "kind": CategoricalDistribution(["a", "b"]),
}
GRID = {"x": [-1.0, 0.0, 1.0], "n": [1, 2], "kind": ["a", "b"]}
TWO = {"direction": ["min", "max"]}
SAMPLERS = {
    "random": lambda: optuna.samplers.RandomSampler(),
    "tpe": lambda: optuna.samplers.TPESampler(n_startup_trials=4, multivariate=True),
    "qmc": lambda: optuna.samplers.QMCSampler(),
    "grid": lambda: optuna.samplers.GridSampler(GRID),
    "nsga2": lambda: optuna.samplers.NSGAIISampler(population_size=4),
    "gp": lambda: optuna.samplers.GPSampler(n_startup_trials=4),
}


class AtOnce(Executor):
    """Runs what it is given at once, and is interrupted where it is told to be."""

    def __init__(self, interrupted_at=None):
        self.interrupted_at, self.done = interrupted_at, 0

    def submit(self, fn, /, *args, **kwargs):
        if self.done == self.interrupted_at:
            raise KeyboardInterrupt
        self.done += 1
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def objective(trial):
    return (trial.params["x"] - 2) ** 2 + trial.params["n"]


def study(run_id, interrupted_at=None, fn=objective, **options):
    given = {"n_trials": 12, "seed": 3, "executor": AtOnce(interrupted_at), "space": SPACE, **options}
    return Study(fn, run_id=run_id, **given)


def tried(of):
    return [(dict(trial.params), trial.value) for trial in of.trials]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("at", [0, 1, 6, 11])
def test_an_interrupted_study_tries_what_it_would_have_tried(sampler, at):
    whole = study("whole", sampler=SAMPLERS[sampler]()).run()
    with pytest.raises(KeyboardInterrupt):
        study("cut", at, sampler=SAMPLERS[sampler]()).run()
    resumed = study("cut", sampler=SAMPLERS[sampler]()).run()
    assert resumed.settings.executor.done == 12 - at
    assert tried(resumed) == tried(whole)
    assert len({trial.params["x"] for trial in resumed.trials}) > (1 if sampler != "grid" else 0)
    assert resumed.best == max(resumed.trials, key=lambda trial: -trial.value)


def test_what_is_stored_is_what_ran():
    ran = study("stored").run()
    stored = Study.open("stored")
    assert stored.trials == ran.trials
    assert stored.best == ran.best
    assert stored.stop_reason == "n_trials=12: so many trials are over"
    assert stored.to_optuna().best_value == ran.best.value
    assert stored.to_optuna().best_params == dict(ran.best.params)
    table = stored.to_pandas()
    assert list(table["value"]) == [trial.value for trial in ran.trials]
    assert list(table["params_x"]) == [trial.params["x"] for trial in ran.trials]


def test_a_finished_study_runs_no_trial_again_and_goes_on_where_more_are_wanted():
    before = study("more").run().trials
    again = study("more").run()
    assert again.settings.executor.done == 0
    assert again.trials == before
    more = study("more", n_trials=15).run()
    assert more.trials[:12] == before
    assert (len(more.trials), more.settings.executor.done) == (15, 3)


def test_an_objective_that_fails_is_written_down_with_its_traceback_and_the_search_goes_on():
    def fails(trial):
        if trial.number == 1:
            raise ZeroDivisionError("no data")
        return 1.0

    failed = study("fails", fn=fails, n_trials=3).run().trials[1]
    assert (failed.status, failed.value, failed.attempts) == ("failed", None, 1)
    assert "ZeroDivisionError: no data" in failed.reason
    assert "in fails" in failed.reason


def test_a_killed_process_is_not_said_to_have_run_out_of_memory_only():
    assert "was killed by SIGKILL (the system does that where memory runs out, and stop() where its" in str(
        ProcessDiedError(-9)
    )


class Dies(AtOnce):
    """Its worker is gone without a word, at some attempts."""

    def __init__(self, deaths):
        super().__init__()
        self.deaths, self.attempts = deaths, []

    def submit(self, fn, /, task):
        self.attempts.append((task.number, task.attempt))
        if (task.number, task.attempt) in self.deaths:
            future = Future()
            future.set_exception(RuntimeError("the node is gone"))
            return future
        return super().submit(fn, task)


def test_a_trial_whose_worker_dies_is_begun_again_so_often():
    executor = Dies({(1, 1), (2, 1), (2, 2), (2, 3)})
    ran = study("dies", executor=executor, n_trials=4).run()
    assert executor.attempts == [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)]
    assert [trial.status for trial in ran.trials] == ["finished", "finished", "failed", "finished"]
    assert [trial.attempts for trial in ran.trials] == [1, 2, 3, 1]
    assert ran.trials[2].reason == "RuntimeError: the node is gone (3 attempts)"


def test_a_sampler_of_one_s_own_is_a_function_of_the_ledger():
    def halves(ledger):
        return {"x": ledger[-1].params["x"] / 2 if len(ledger) else 8.0, "n": 0}

    ran = study("own", sampler=halves, space=None, n_trials=4).run()
    assert [trial.params["x"] for trial in ran.trials] == [8.0, 4.0, 2.0, 1.0]
    assert ran.best.number == 2
    assert [trial.params for trial in ran.to_optuna().trials] == [{}] * 4
    described = study("described", sampler=halves, space={"x": SPACE["x"]}, n_trials=4).run()
    assert [trial.params["x"] for trial in described.to_optuna().trials] == [8.0, 4.0, 2.0, 1.0]


def test_a_grid_ends_where_all_points_were_tried():
    ran = study("grid", sampler=optuna.samplers.GridSampler(GRID), n_trials=None).run()
    points = {tuple(trial.params.values()) for trial in ran.trials}
    assert (len(ran.trials), len(points)) == (12, 12)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("again", [False, True])
def test_a_sampler_that_has_nothing_more_to_try_ends_the_study_and_says_so(again):
    def searched():
        sampler = optuna.samplers.BruteForceSampler(avoid_premature_stop=again)
        space = {"n": IntDistribution(1, 7, step=3), "x": FloatDistribution(0.0, 0.3, step=0.1)}
        return study("all", sampler=sampler, space=space, n_trials=None)

    ran = searched().run()
    assert len({tuple(trial.params.values()) for trial in ran.trials}) == len(ran.trials) == 12
    assert ran.stop_reason == "BruteForceSampler stopped the study: it has nothing more to try"
    if not again:
        assert len(searched().run().trials) == 12


@pytest.mark.parametrize(
    ("stop_when", "said"),
    [
        (no_improvement(2), "no_improvement(2): 2 trials since the best one"),
        (target(3.0), "target(3.0): trial 3 came to 3"),
        (target(3.0) | no_improvement(9), "target(3.0): trial 3 came to 3"),
    ],
)
def test_conditions_on_the_ledger_end_it_and_say_why(stop_when, said):
    values = [5.0, 4.0, 4.5, 3.0, 3.0, 3.0, 2.0, 1.0]

    ran = study("stops", fn=lambda trial: values[trial.number], n_trials=8, stop_when=stop_when).run()
    assert ran.stop_reason == said


def test_time_ends_it():
    ran = study("time", n_trials=8, stop_when=max_seconds(1e-9)).run()
    assert len(ran.trials) == 1
    assert ran.stop_reason.startswith("max_seconds(1e-09): ")


def test_the_best_is_of_the_direction():
    assert study("max", direction="max").run().best.value == max(t.value for t in Study.open("max").trials)


def test_several_directions_have_several_values():
    def two(trial):
        return trial.params["x"], -trial.params["x"]

    ran = study("two", fn=two, direction=["min", "max"], sampler=optuna.samplers.NSGAIISampler()).run()
    assert ran.best is None
    assert all(trial.values == (trial.params["x"], -trial.params["x"]) for trial in ran.trials)
    assert len(ran.to_optuna().best_trials) >= 1


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "The objective returned nothing, and trained no run of trial.callback"),
        (float("nan"), "a trial's value must be a number"),
        ((1.0, 2.0), "The objective returned 2 values, and the study has 1 directions"),
    ],
)
def test_what_is_no_value_is_a_failed_trial_that_says_so(returned, said):
    with pytest.raises(NoTrialFinishedError) as raised:
        study("odd", fn=lambda trial: returned, n_trials=1).run()
    assert said in raised.value.reason
    assert Study.open("odd").trials[0].status == "failed"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"executor": "threads"}, r"Study\(executor='threads'\): it must be an executor"),
        ({"executor": ThreadPoolExecutor}, r"Study\(executor=<class"),
        ({"sampler": optuna.samplers.TPESampler}, r"Study\(sampler=.*: it must be a sampler, and not its cl"),
        (
            {"pruner": optuna.pruners.MedianPruner},
            r"Study\(pruner=.*: it must be a pruner, and not its class",
        ),
        ({"seed": -1}, r"Study\(seed=-1\): it must be a whole number, 0 or more"),
        ({"monitor": 3}, r"Study\(monitor=3\): it must be the name of a metric"),
        ({"persister": 3}, r"Study\(persister=3\): it must be a synchronous Burr persister, or a URL"),
        ({"n_trials": 0}, r"Study\(n_trials=0\): it must be a whole number, 1 or more"),
        ({"parallel": 0}, r"Study\(parallel=0\)"),
        ({"space": {"x": (0, 1)}}, r"Study\(space={'x': \(0, 1\)}\): it must be a distribution of Optuna's"),
        ({"space": None}, r"Study\(space={}\): it must be a distribution for each parameter"),
        ({"sampler": "tpe"}, r"Study\(sampler='tpe'\): it must be a sampler of Optuna's, or a function"),
        ({"pruner": optuna.pruners.MedianPruner()}, r"a pruner looks at one monitored metric"),
        ({"stop_when": 3}, r"Study\(stop_when=3\): it must be a Burr condition"),
        ({"stop_when": target(3.0), **TWO}, r"Study\(stop_when=target\(3.0\), direction=\['min', 'max'\]\)"),
        (
            {"stop_when": max_seconds(9.0) | ~no_improvement(2), **TWO},
            r"Study\(stop_when=no_improvement\(2\)",
        ),
    ],
)
def test_what_a_study_cannot_use_is_refused(options, said):
    with pytest.raises(ArgumentError, match=said):
        study("refused", **options)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: target("0.98"), r"target\('0.98'\): it must be a number, as in target\(0.98\)\."),
        (lambda: target(math.nan), r"target\(nan\): it must be a number"),
        (lambda: target(True), r"target\(True\): it must be a number"),
        (
            lambda: no_improvement(True),
            r"no_improvement\(True\): it must be a whole number of trials, 1 or more",
        ),
        (lambda: no_improvement(2.5), r"no_improvement\(2.5\): it must be a whole number"),
        (lambda: no_improvement("5"), r"no_improvement\('5'\): it must be a whole number"),
        (lambda: no_improvement(0), r"no_improvement\(0\): it must be a whole number"),
        (
            lambda: max_seconds("5"),
            r"max_seconds\('5'\): it must be a number of seconds, more than 0, as in max",
        ),
        (lambda: max_seconds(0), r"max_seconds\(0\): it must be a number of seconds"),
        (lambda: max_seconds(math.nan), r"max_seconds\(nan\): it must be a number of seconds"),
        (lambda: max_seconds(None), r"max_seconds\(None\): it must be a number of seconds"),
    ],
)
def test_conditions_of_another_kind_of_argument_are_refused_when_they_are_made(make, said):
    with pytest.raises(ArgumentError, match=said):
        make()


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (
            Condition.when(nokey=3),
            r"Study\(stop_when=nokey=3\): it reads nokey, which the state of a study does",
        ),
        (Condition.expr("seconds > 3 and epochs > 2"), r"it reads epochs, which"),
        (
            target(1.0) | plateau("val_loss", patience=3),
            r"it reads history, which the state of a study does not",
        ),
    ],
)
def test_a_condition_on_what_a_study_s_state_has_not_is_refused_before_the_first_trial(condition, said):
    with pytest.raises(ArgumentError, match=said):
        study("refused", stop_when=condition)


def test_a_condition_of_burr_s_own_on_a_study_s_state_ends_it():
    ran = study("burr-s", stop_when=Condition.expr("seconds > 0 and trial == 2")).run()
    assert len(ran.trials) == 3


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning", "ignore::FutureWarning")
def test_constraints_that_an_objective_has_no_way_to_tell_are_refused():
    sampler = optuna.samplers.TPESampler(constraints_func=lambda trial: trial.user_attrs["broken"])
    with pytest.raises(ArgumentError, match=r"Study\(sampler=TPESampler\(constraints_func=...\)\): constr"):
        study("refused", sampler=sampler)


def test_another_direction_is_refused_for_a_study_that_has_trials():
    study("was-min").run()
    with pytest.raises(ArgumentError, match=r"was begun with direction=\['min'\]"):
        study("was-min", direction="max", n_trials=13).run()


def test_one_process_at_a_time_runs_it():
    def again(trial):
        message = f"Study 'locked' is being run by process {os.getpid()} on .* or start a study of your own"
        with pytest.raises(StudyLockedError, match=message):
            study("locked").run()
        return 1.0

    assert study("locked", fn=again, n_trials=1).run().trials[0].status == "finished"


def test_deaths_count_and_interruptions_do_not():
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            study("cut", 0, n_trials=1, attempts=2).run()
    dies = Dies({(0, 1)})
    ran = study("cut", n_trials=1, attempts=2, executor=dies).run()
    assert (ran.trials[0].status, ran.trials[0].deaths, dies.attempts) == ("finished", 1, [(0, 1), (0, 2)])


def test_a_study_whose_trials_all_failed_says_so_and_says_why():
    def fails(trial):
        raise ZeroDivisionError("no data")

    for _ in range(2):
        with pytest.raises(NoTrialFinishedError, match=r"all of its 3 trials failed(.|\n)*no data"):
            study("fails", fn=fails, n_trials=3).run()
    assert study("fails", n_trials=4).run().best.number == 3


def test_a_failed_trial_is_told(caplog):
    def fails(trial):
        if trial.number == 1:
            raise ZeroDivisionError("no data")
        return 1.0

    study("fails", fn=fails, n_trials=3).run()
    told = [record.getMessage() for record in caplog.records if "trial 1 failed" in record.getMessage()]
    assert len(told) == 1
    assert "ZeroDivisionError: no data" in told[0]


def test_runs_and_studies_have_names_of_their_own(make_trainer):
    trained("taken", make_trainer)
    with pytest.raises(NameTakenError, match="there is a run of that name"):
        study("taken").run()
    study("search", n_trials=1).run()
    with pytest.raises(NameTakenError, match="there is a study of that name"):
        trained("search", make_trainer)


def test_a_run_that_is_none_of_its_trials_is_not_gone_on_with(make_trainer):
    trained("search-1", make_trainer)
    with pytest.raises(NameTakenError, match="trial 1, run_id='search-1'"):
        study("search").run()
    assert [trial.status for trial in Study.open("search").trials] == ["finished", "waiting"]


def test_a_study_of_a_trial_s_name_is_not_run_over():
    study("search-1", n_trials=1).run()
    with pytest.raises(NameTakenError, match=r"trial 1, run_id='search-1'.*a study of that name"):
        study("search").run()


def test_a_name_leaves_room_for_those_of_its_trials():
    with pytest.raises(RunIdError, match="a study's has 90 letters at most"):
        study("a" * 91)
    assert study("a" * 90, n_trials=1).run().best is not None


def trained(run_id, make_trainer):
    make_trainer(BurrCallback(run_id=run_id), max_epochs=1).fit(ScriptedModule(), scripted_loader())


def test_who_ran_a_trial_is_known():
    with ThreadPoolExecutor(2, thread_name_prefix="thread") as pool:
        ran = study("threads", executor=pool, parallel=2).run()
    assert {trial.worker for trial in ran.trials} == {"worker 0", "worker 1"}
    assert {trial.place.split()[0] for trial in ran.trials} <= {"thread_0", "thread_1"}


def test_a_tracked_study_shows_each_step_once():
    with pytest.raises(KeyboardInterrupt):
        study("cut", 3, n_trials=5).run()
    study("cut", n_trials=5).run()
    steps = [step["action"] for step in tracked_steps("cut")]
    assert steps == [*["suggest", "launch", "wait", "record"] * 5, "best_model"]


def tracked_steps(study_id):
    log = Path("~/.burr/lightning").expanduser() / study_id / "log.jsonl"
    entries = map(json.loads, log.read_text().splitlines())
    return [entry for entry in entries if entry["type"] == "begin_entry"]


def test_in_this_process_trials_run_one_after_the_other():
    process = os.getpid()
    ran = study("here", fn=lambda trial: os.getpid() - process, executor=InProcess(), n_trials=3).run()
    assert [trial.value for trial in ran.trials] == [0.0] * 3

    def interrupts(trial):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study("here", fn=interrupts, executor=InProcess(), n_trials=4).run()
    assert Study.open("here").trials[3].status == "waiting"


def test_an_own_sampler_that_returns_no_parameters_is_refused():
    with pytest.raises(
        ArgumentError, match=r"for trial 0 it returned None. It must return the trial's param"
    ):
        study("own", sampler=lambda ledger: None).run()


def test_as_many_trials_run_at_once_as_the_executor_has_workers():
    with ThreadPoolExecutor(3) as pool:
        assert study("threads", executor=pool).settings.parallel == 3
        assert study("one", executor=pool, parallel=1).settings.parallel == 1
    assert study("processes", executor=LocalProcesses(2)).settings.parallel == 2
    assert study("here", executor=InProcess()).settings.parallel == 1


def test_a_direction_is_min_or_max():
    for given in (None, "maximize", ["min", "up"]):
        said = re.escape(
            f"Study(direction={given!r}): it must be 'min' or 'max', or a list with one of these "
        )
        with pytest.raises(ArgumentError, match=said):
            study("where", direction=given)
