"""A study that is gone on with: what has to be as it was, and what is said where it is not."""

import json

import pytest
from burr.core.persistence import SQLitePersister
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import GridSampler, RandomSampler

from burr_lightning.errors import ArgumentError, ExecutorClosedError, LostStudyRowsError
from burr_lightning.tuning import InProcess, LocalProcesses, Study

SPACE = {"x": FloatDistribution(0.0, 1.0)}
GRID = {"x": [0.0, 0.25, 0.5, 0.75]}


def study(run_id, fn=lambda trial: 1.0, **options):
    given = {"space": SPACE, "n_trials": 4, "executor": InProcess(), "sampler": RandomSampler(), **options}
    return Study(fn, run_id=run_id, tracker=False, **given)


def stored_info(of):
    return (of.settings.folder.path / "study.json").read_text()


def test_what_is_refused_does_not_change_what_is_stored():
    before = stored_info(study("refused", seed=1).run())
    for other in ({"direction": "max"}, {"seed": 2}, {"space": {"x": IntDistribution(0, 1)}}):
        with pytest.raises(ArgumentError):
            study("refused", n_trials=5, **other).run()
        assert stored_info(study("refused")) == before


def test_a_study_without_its_rows_is_not_begun_anew(tmp_path):
    ran = study("lost").run()
    with pytest.raises(
        LostStudyRowsError, match=r"'lost'.*other.sqlite has no row of it(.|\n)*Put the rows back"
    ):
        study("lost", persister=f"sqlite:///{tmp_path}/other.sqlite").run()
    for file in ran.settings.folder.root.glob("state.sqlite*"):
        file.unlink()
    with pytest.raises(LostStudyRowsError, match="another run_id"):
        study("lost").run()
    assert json.loads(stored_info(ran))["persister"] is None


def test_the_error_says_what_it_was_run_with(tmp_path):
    study("moved", persister=f"sqlite:///{tmp_path}/first.sqlite").run()
    with pytest.raises(LostStudyRowsError, match=r"was run with persister='sqlite:///.*first.sqlite'"):
        study("moved").run()


class Killed(BaseException):
    """What stands for a process that is gone."""


class DiesAt(SQLitePersister):
    """Rows before or after the first of which the process is gone."""

    def __init__(self, path, when):
        super().__init__(str(path), connect_kwargs={"check_same_thread": False})  # for the garbage collector
        self.initialize()
        self._when = when

    def save(self, *args, **kwargs):
        if self._when == "before":
            raise Killed
        super().save(*args, **kwargs)
        if self._when == "after":
            raise Killed


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_study_that_is_killed_at_its_first_row_still_starts(when, tmp_path):
    with pytest.raises(Killed):
        study("first", persister=DiesAt(tmp_path / "rows", when)).run()
    assert len(study("first", persister=DiesAt(tmp_path / "rows", "never")).run().trials) == 4


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (FloatDistribution(0.0, 1.0), FloatDistribution(2.0, 3.0), "trial 0 has tried"),
        (FloatDistribution(0.0, 3.0), IntDistribution(0, 3), "a parameter keeps its kind"),
        (CategoricalDistribution(["a", "b"]), CategoricalDistribution(["c", "d"]), "trial 0 has tried"),
    ],
)
def test_a_space_without_what_was_tried_is_refused(then, now, said):
    study("space", space={"x": then}).run()
    with pytest.raises(
        ArgumentError, match=rf"space={{'x': {type(now).__name__}(.|\n)*was begun with.*{said}"
    ):
        study("space", space={"x": now}, n_trials=5).run()


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (FloatDistribution(0.1, 1.0), FloatDistribution(0.01, 3.0, log=True)),
        (IntDistribution(0, 3), IntDistribution(-3, 30)),
        (CategoricalDistribution(["a", 1, True]), CategoricalDistribution([True, "b", 1, "a"])),
    ],
)
def test_a_wider_space_is_fine(then, now):
    study("wider", space={"x": then}).run()
    assert len(study("wider", space={"x": now}, n_trials=6).run().trials) == 6


def test_another_seed_is_refused_and_none_is_the_stored_one():
    study("seed", seed=1).run()
    with pytest.raises(ArgumentError, match=r"seed=99\) was begun with seed=1"):
        study("seed", seed=99, n_trials=5).run()
    ran = study("seed", n_trials=5).run()
    whole = study("whole", seed=1, n_trials=5).run()
    assert [trial.params for trial in ran.trials] == [trial.params for trial in whole.trials]


def test_a_grid_is_tried_as_a_whole_also_by_a_study_that_has_trials():
    study("grid", n_trials=2).run()
    ran = study("grid", sampler=GridSampler(GRID), n_trials=None).run()
    assert ran.stop_reason == "all points were tried"
    assert sorted(trial.params["x"] for trial in ran.trials[2:]) == GRID["x"]
    again = study("grid", sampler=GridSampler(GRID), n_trials=None).run()
    assert again.trials == ran.trials
    assert study("part", sampler=GridSampler(GRID), n_trials=3).run().stop_reason.startswith("n_trials=3")


def test_an_executor_that_was_shut_down_is_named():
    pool = LocalProcesses(1, start="spawn")
    pool.stop()
    with pytest.raises(ExecutorClosedError, match=r"executor=LocalProcesses\).run\(\)(.|\n)*a new executor"):
        study("closed", executor=pool).run()
    assert len(study("closed").run().trials) == 4
