"""A study whose monitor nothing logs ends with its first trials, and goes on under one that is logged."""

import os
import time
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from at_work import DEADLINE
from lightning.pytorch import Callback, Trainer
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from population_runs import POPULATION
from population_runs import study as population

from burr_lightning.conditions import reached
from burr_lightning.errors import NoTrialFinishedError, UnknownMetricError, UnknownMonitorError
from burr_lightning.testing import ScriptedModule, scripted_loader
from burr_lightning.tuning import InProcess, LocalProcesses, Study
from burr_lightning.tuning.scores import scores_by_trial

SPACE = {"x": FloatDistribution(0.0, 1.0)}
WRONG = {"monitor": "val_los"}
TO_THE_END = {"monitor": None}
"""A run is refused after its first epoch without what it monitors itself."""


def trained(trial, *callbacks, script=None, epochs=2, loaders=2, options=None, **more):
    """Train a trial, and note that it was."""
    with open("begun", "a") as file:
        file.write(f"{trial.number}\n")
    script = script or {"val_loss": [0.5 + trial.number, 0.25 + trial.number], "acc": [0.5]}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        max_epochs=epochs,
        callbacks=[trial.callback(**(options or {})), *callbacks],
        accelerator="cpu",
        **{**quiet, **more},
    )
    trainer.fit(ScriptedModule(**script), *[scripted_loader() for _ in range(loaders)])


def begun():
    """The trials that an objective was called for, in order."""
    return list(map(int, Path("begun").read_text().split()))


def study(fn=trained, **options):
    given = {"n_trials": 6, "monitor": "val_loss", "sampler": RandomSampler(), "seed": 1, "tracker": False}
    return Study(fn, SPACE, run_id="metrics", **{"executor": InProcess(), **given, **options})


def refused(**options):
    with pytest.raises(UnknownMonitorError) as raised:
        study(**options).run()
    return raised.value


def outcomes(of):
    return [(trial.status, trial.value) for trial in of.trials]


class Watched(Callback):
    """Notes the epochs that are trained in this process."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.epochs.append(trainer.current_epoch)


def test_the_first_trial_ends_a_study_whose_monitor_nothing_logs():
    error = refused(**WRONG)
    assert begun() == [0]
    assert (error.study_id, error.trial, error.metric) == ("metrics", 0, "val_los")
    assert isinstance(error, UnknownMetricError)
    assert error.available == ["acc", "val_loss"]
    assert str(error).startswith("Study('metrics', monitor='val_los').run(): trial 0 has trained, and")
    assert "Metrics that it logged: acc, val_loss. Did you mean 'val_loss'? Run the study again" in str(error)
    stored = Study.open("metrics")
    assert (outcomes(stored), stored.stop_reason) == ([("waiting", None)], None)
    assert stored.state["interrupted"] == "its monitor 'val_los', which trial 0 has not logged"


@pytest.mark.parametrize("trains", [{}, TO_THE_END])
def test_under_the_right_monitor_it_takes_what_was_trained_and_goes_on(trains):
    refused(fn=lambda trial: trained(trial, options=trains), **WRONG)
    watched = Watched()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=9)
    ran = study(lambda trial: trained(trial, watched), n_trials=3, pruner=pruner).run()
    assert outcomes(ran) == [("finished", 0.25 + number) for number in range(3)]
    assert begun() == [0, 0, 1, 2]
    assert watched.epochs == [0, 1] * (2 if trains else 3)
    assert ran.monitor == Study.open("metrics").monitor == "val_loss"
    told = [(fact["trial"], fact["value"]) for fact in ran.scores.newer() if "value" in fact]
    assert told == [(n, repr(each + n)) for n in range(3) for each in (0.5, 0.25)]


@pytest.mark.parametrize("trains", [{}, TO_THE_END])
def test_run_again_with_the_same_monitor_such_a_trial_fails_and_the_search_goes_on(trains):
    def sometimes(trial):
        script = {"acc": [0.5]} if trial.number < 2 else None
        trained(trial, watched, script=script, options=trains)

    watched = Watched()
    error = refused(fn=sometimes, n_trials=4)
    assert "or run it again as it is: then such a trial fails and the search goes on" in str(error)
    assert Study.open("metrics").state["unknown_monitor"] == "val_loss"
    ran = study(sometimes, n_trials=4).run()
    assert begun() == [0, 0, 1, 2, 3]
    assert outcomes(ran) == [("failed", None), ("failed", None), ("finished", 2.25), ("finished", 3.25)]
    assert "needs the metric 'val_loss', and nothing logged it" in ran.trials[0].reason


def test_that_the_user_was_told_is_kept_where_the_study_is_interrupted_again():
    def interrupts(trial):
        raise KeyboardInterrupt

    refused(**WRONG)
    with pytest.raises(KeyboardInterrupt):
        study(interrupts, **WRONG).run()
    with pytest.raises(NoTrialFinishedError):
        study(n_trials=2, **WRONG).run()
    assert [trial.status for trial in Study.open("metrics").trials] == ["failed"] * 2


def test_the_user_is_told_anew_of_another_monitor():
    refused(**WRONG)
    assert refused(monitor="los").metric == "los"
    assert refused(**WRONG).metric == "val_los"
    assert [trial.status for trial in Study.open("metrics").trials] == ["waiting"]


def interrupted_after_an_epoch(trial):
    trained(trial, epochs=1, options=TO_THE_END)
    raise KeyboardInterrupt


def test_scores_of_another_monitor_do_not_hide_that_nothing_logs_the_new_one():
    with pytest.raises(KeyboardInterrupt):
        study(interrupted_after_an_epoch).run()
    assert [fact["value"] for fact in Study.open("metrics").scores.newer()] == ["0.5"]
    refused(fn=lambda trial: trained(trial, options=TO_THE_END), **WRONG)
    assert begun() == [0, 0]
    assert list(Study.open("metrics").scores.newer()) == []


def test_scores_of_another_monitor_are_made_again_from_the_runs():
    def interrupted_in_the_second(trial):
        trained(trial)
        if trial.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(interrupted_in_the_second).run()
    assert scores_by_trial(Study.open("metrics").scores)[0] == {0: 0.5, 1: 0.25}
    ran = study(n_trials=2, monitor="acc").run()
    assert scores_by_trial(ran.scores)[0] == {0: 0.5, 1: 0.5}


def test_a_study_that_was_killed_before_it_ended_is_refused_when_it_goes_on(monkeypatch):
    class Killed(BaseException):
        pass

    class Kills(InProcess):
        def submit(self, fn, /, *args, **kwargs):
            super().submit(fn, *args, **kwargs)
            raise Killed

    with pytest.raises(Killed):
        study(executor=Kills(), **WRONG).run()
    assert not list(Path("runs/lightning/metrics/outcomes").glob("*.json"))
    assert refused(**WRONG).trial == 0
    assert begun() == [0, 0]
    assert outcomes(study(n_trials=1).run()) == [("finished", 0.25)]


def test_an_objective_that_returns_the_value_needs_no_monitor_that_is_logged():
    def returns(trial):
        trained(trial)
        return 7.0

    refused(fn=lambda trial: trained(trial, options=TO_THE_END), **WRONG)
    assert outcomes(study(returns, n_trials=2, monitor="val_loss").run()) == [("finished", 7.0)] * 2


def test_where_a_trial_has_a_value_another_one_has_only_failed():
    def sometimes(trial):
        script = {"val_loss": [0.5]} if trial.number == 0 else {"acc": [0.5]}
        trained(trial, script=script, options=TO_THE_END if trial.number == 1 else {})

    ran = study(sometimes, n_trials=3).run()
    assert outcomes(ran) == [("finished", 0.5), ("failed", None), ("failed", None)]
    assert ran.trials[1].reason == (
        "UnknownMetricError: Study('metrics', monitor='val_loss'), trial 1, needs the metric 'val_loss', and "
        "nothing logged it. Metrics logged so far: acc. Log it with self.log('val_loss', ...), or use one of "
        "those names. Or return the trial's value."
    )
    assert ran.trials[2].reason.startswith("Traceback")


def test_where_one_that_runs_has_logged_it_another_one_has_only_failed():
    def first_without(trial):
        if trial.number == 0:
            trial.task.scores.write_text('{"trial": 1, "epoch": 0, "value": "0.5"}\n')
            trained(trial, script={"acc": [0.5]})
        else:
            trained(trial)

    ran = study(first_without, n_trials=2).run()
    assert outcomes(ran) == [("failed", None), ("finished", 1.25)]


class Every(Callback):
    """Logs a metric at the end of every so manieth epoch."""

    def __init__(self, epochs):
        self._epochs = epochs

    def on_train_epoch_end(self, trainer, pl_module):
        if (trainer.current_epoch + 1) % self._epochs == 0:
            pl_module.log("rare", 1.0)


def test_a_metric_that_is_logged_only_every_few_epochs_is_no_mistake():
    def rarely(trial):
        trained(trial, Every(3), epochs=3, options=TO_THE_END)

    assert outcomes(study(rarely, n_trials=2, monitor="rare").run()) == [("finished", 1.0)] * 2


@pytest.mark.parametrize("way", ["raises", "swallows", "stops early", "is nan", "trains nothing"])
def test_a_trial_that_may_yet_have_logged_it_does_not_end_the_study(way):
    def objective(trial):
        if trial.number == 1:
            return 1.0
        if way == "trains nothing":
            return None
        if way in ("raises", "swallows"):
            try:
                trained(trial, Raises(), script={"acc": [0.5]}, epochs=3, options=TO_THE_END)
            except ZeroDivisionError:
                if way == "raises":
                    raise
        elif way == "stops early":
            stops = {"stop_when": reached("acc", 0.1, mode="max")}
            trained(trial, LogsAcc(), epochs=9, options=stops, check_val_every_n_epoch=5)
        else:
            trained(trial, script={"val_loss": [float("nan")]})
        return None

    ran = study(objective, n_trials=2).run()
    assert outcomes(ran) == [("failed", None), ("finished", 1.0)]


class Raises(Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise ZeroDivisionError


class LogsAcc(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        pl_module.log("acc", 1.0)


@pytest.mark.parametrize("trains", [{}, TO_THE_END])
def test_without_any_validation_the_training_shows_it(trains):
    error = refused(fn=lambda trial: trained(trial, loaders=1, options=trains), monitor="val_acc")
    assert error.available == ["acc", "val_loss"]


def test_an_objective_that_makes_another_error_of_it_does_not_hide_it():
    def wraps(trial):
        try:
            trained(trial)
        except UnknownMetricError as error:
            raise RuntimeError("it went wrong") from error

    assert refused(fn=wraps, **WRONG).available == ["acc", "val_loss"]


def test_another_metric_that_a_trial_lacks_is_the_mistake_of_the_trial():
    def stops(trial):
        if trial.number == 0:
            trained(trial, script={"acc": [0.5]}, options={"stop_when": reached("nothing", 0.1)})
        return 1.0

    assert outcomes(study(stops, n_trials=2).run()) == [("failed", None), ("finished", 1.0)]


SEVERAL = {"direction": ["min", "max"], "sampler": optuna.samplers.NSGAIISampler(), "n_trials": 2}


def test_several_directions_with_a_monitor_that_no_run_logs_end_as_well():
    def returns(trial):
        trained(trial)
        return 1.0, 2.0

    assert refused(fn=returns, **SEVERAL, **WRONG).trial == 0
    ran = study(returns, **SEVERAL).run()
    assert [trial.values for trial in ran.trials] == [(1.0, 2.0)] * 2


def test_several_values_are_those_that_are_returned_whatever_was_logged():
    def returns(trial):
        trained(trial, options=TO_THE_END)
        return None if trial.number == 0 else (1.0, 2.0)

    ran = study(returns, **SEVERAL, **WRONG).run()
    assert [trial.values for trial in ran.trials] == [None, (1.0, 2.0)]


def test_members_of_a_population_go_on_under_the_right_monitor():
    with pytest.raises(UnknownMonitorError, match="Did you mean 'val_loss'"):
        population("members", **WRONG).run()
    assert [trial.status for trial in Study.open("members").trials] == ["waiting"]
    ran = population("members", n_trials=POPULATION.population + 1).run()
    assert [trial.status for trial in ran.trials] == ["finished"] * 5
    whole = population("whole", n_trials=POPULATION.population + 1).run()
    assert [trial.value for trial in ran.trials] == [trial.value for trial in whole.trials]


@pytest.fixture(scope="module")
def pool():
    """For studies that are not interrupted; its fork server has imported everything once and for all."""
    with LocalProcesses(2) as shared:
        yield shared


def waited_for(name):
    """Wait until a file is there."""
    until = time.monotonic() + DEADLINE
    while not Path(name).exists():
        assert time.monotonic() < until, f"no {name}"
        time.sleep(0.01)


def gone(process):
    """Wait until a process is no more."""
    until = time.monotonic() + DEADLINE
    with suppress(ProcessLookupError):
        while time.monotonic() < until:
            os.kill(process, 0)
            time.sleep(0.01)


def slow(trial):
    """The first trial logs another metric, and ends while the second one has not trained an epoch."""
    if trial.number == 0:
        trained(trial, script={"acc": [0.5]}, options=TO_THE_END)
        Path("ended").touch()
    elif trial.number == 1:
        waited_for("ended")
        time.sleep(1.5)
        trained(trial)
    else:
        trained(trial)


def test_one_that_runs_beside_it_is_waited_for(pool):
    ran = study(slow, executor=pool, parallel=2, n_trials=3).run()
    assert outcomes(ran) == [("failed", None), ("finished", 1.25), ("finished", 2.25)]
    assert [trial.attempts for trial in ran.trials] == [1, 1, 1]


def test_where_those_beside_it_lack_it_as_well_no_other_one_is_begun():
    with LocalProcesses(2) as pool:
        error = refused(fn=slow, executor=pool, parallel=2, **WRONG)
    assert error.trial in (0, 1)
    assert sorted(begun()) == [0, 1]
    assert outcomes(Study.open("metrics")) == [("waiting", None)] * 2


def logs_and_trains_on(trial):
    """The second trial ends only when the first one was recorded, and a third one begun."""
    if trial.number == 0:
        trained(trial, script={"acc": [0.5]}, options=TO_THE_END)
        Path("ended").touch()
    elif trial.number == 1:
        waited_for("ended")
        trained(trial, TrainsOn())
    else:
        Path("third").touch()
        trained(trial)


class TrainsOn(Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            waited_for("third")


def test_it_is_recorded_as_soon_as_one_beside_it_has_logged_the_monitor(pool):
    ran = study(logs_and_trains_on, executor=pool, parallel=2, n_trials=3).run()
    assert outcomes(ran) == [("failed", None), ("finished", 1.25), ("finished", 2.25)]


def fails_beside(trial):
    """The second trial fails when the first one has ended; the third one runs until it is ended."""
    if trial.number == 1:
        waited_for("process")
        gone(int(Path("process").read_text()))
        time.sleep(1)  # for the study, which hears of both
        raise ZeroDivisionError
    if trial.number == 2 and not Path("once").exists():
        Path("once").touch()
        time.sleep(60)
        Path("slept to the end").touch()
    trained(trial, options=TO_THE_END)
    Path("process.new").write_text(str(os.getpid()))
    Path("process.new").rename("process")


def test_trials_in_other_processes_are_told_to_commit_and_go_on_later(pool, caplog):
    with LocalProcesses(2) as interrupted, pytest.raises(UnknownMonitorError):
        study(fails_beside, executor=interrupted, parallel=2, **WRONG).run()
    assert not Path("slept to the end").exists()
    Path("once").touch()
    assert "is interrupted by its monitor 'val_los', which trial 0 has not logged; 1 trials" in caplog.text
    assert outcomes(Study.open("metrics")) == [("waiting", None), ("failed", None), ("waiting", None)]
    ran = study(fails_beside, executor=pool, parallel=2, n_trials=3).run()
    assert outcomes(ran) == [("finished", 0.25), ("failed", None), ("finished", 2.25)]
    assert [trial.deaths for trial in ran.trials] == [0, 0, 0]
