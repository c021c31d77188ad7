"""A trial that is gone on with is given the hyperparameters that it was given at first, types and all."""

import enum
import json
import math
import warnings

import matplotlib
import numpy as np
import optuna
import optuna.visualization.matplotlib
import pytest
import torch
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from test_study import study

from burr_lightning.errors import ArgumentError
from burr_lightning.tuning import InProcess, Ledger, Study
from burr_lightning.tuning.figures import KINDS

OF_OTHER_STUDIES = {"plot_pareto_front", "plot_hypervolume_history", "plot_terminator_improvement"}
PICTURES = {name for name in optuna.visualization.__all__ if name.startswith("plot_")} - OF_OTHER_STUDIES
pytestmark = pytest.mark.filterwarnings("ignore:Choices for a categorical distribution")
RETURNED = {
    "numpy": np.int64(3),
    "half": np.float32(0.5),
    "torch": torch.tensor(0.25),
    "yes": np.bool_(True),
    "large": 1e16,
    "zero": -0.0,
    "no_end": math.inf,
    "sizes": [1, np.int64(2)],
    "of": {"a": 1.0, "b": None},
    "name": "adam",
}
GIVEN = {
    "numpy": 3,
    "half": 0.5,
    "torch": 0.25,
    "yes": True,
    "large": 1e16,
    "zero": -0.0,
    "no_end": math.inf,
    "sizes": [1, 2],
    "of": {"a": 1.0, "b": None},
    "name": "adam",
}


class Colour(str, enum.Enum):  # noqa: UP042 - as users have it
    RED = "red"


class Small:
    pass


def given_before_and_after_an_interruption(run_id, **options):
    seen = []

    def objective(trial):
        seen.append(trial.params)
        if len(seen) == 1:
            raise KeyboardInterrupt
        return 1.0

    given = {"fn": objective, "executor": InProcess(), "n_trials": 1, **options}
    with pytest.raises(KeyboardInterrupt):
        study(run_id, **given).run()
    study(run_id, **given).run()
    return seen


def test_an_interrupted_trial_is_given_the_same_values_of_the_same_types():
    seen = given_before_and_after_an_interruption("own", space=None, sampler=lambda ledger: RETURNED)
    assert len(seen) == 2
    assert [repr(each) for each in seen] == [repr(GIVEN)] * 2
    assert repr(dict(Study.open("own").trials[0].params)) == repr(GIVEN)


def test_so_it_is_in_postgresql_which_writes_numbers_in_its_own_way(postgresql):
    options = {"space": None, "sampler": lambda ledger: RETURNED, "persister": postgresql.url}
    seen = given_before_and_after_an_interruption("own-in-postgresql", **options)
    assert [repr(each) for each in seen] == [repr(GIVEN)] * 2


def test_choices_of_numpy_are_numbers_of_python():
    space = {"n": CategoricalDistribution(list(np.arange(3))), "lr": CategoricalDistribution(np.ones(1))}
    seen = given_before_and_after_an_interruption("numpy", space=space)
    assert seen[0] == seen[1]
    assert [type(value) for each in seen for value in each.values()] == [int, float] * 2


def test_a_study_with_lists_among_its_choices_goes_on_beyond_the_start_of_tpe():
    space = {"sizes": CategoricalDistribution([[1, 2], [3, 4]]), "none": CategoricalDistribution([None, 1])}

    def total(trial):
        return float(sum(trial.params["sizes"]))

    options = {"fn": total, "space": space, "sampler": optuna.samplers.TPESampler()}
    whole = study("whole", n_trials=14, **options).run()
    study("cut", n_trials=12, **options).run()
    resumed = study("cut", n_trials=14, **options).run()
    assert [each.params for each in resumed.trials] == [each.params for each in whole.trials]
    best = dict(resumed.best.params)
    assert isinstance(best["sizes"], list)
    assert resumed.to_optuna().best_params == {**best, "sizes": json.dumps(best["sizes"])}


def with_lists():
    return {
        "x": FloatDistribution(1e-3, 1.0, log=True),
        "n": IntDistribution(1, 5),
        "k": CategoricalDistribution(["a", None, True, [1, 2], {"b": [3]}]),
    }


def searched_with_lists():
    """A finished study with trials of every kind."""
    space = with_lists()

    def fn(trial):
        if trial.number == 3:
            raise optuna.TrialPruned
        if trial.number == 4:
            raise ValueError
        assert trial.params["k"] in space["k"].choices
        return trial.params["x"] ** 2 + trial.params["n"]

    return study("lists", fn=fn, space=space, n_trials=20).run()


def test_figures_of_optuna_take_choices_that_are_lists_and_dicts(tmp_path):
    ran = searched_with_lists()
    assert {type(each.params["k"]) for each in ran.trials} == {str, type(None), bool, list, dict}
    assert all(each.params["k"] in with_lists()["k"].choices for each in Study.open("lists").trials)
    seen = Study.open("lists").to_optuna(f"sqlite:///{tmp_path}/optuna.db")
    assert seen.trials[0].distributions["k"].choices == ("a", None, True, "[1, 2]", '{"b": [3]}')
    with warnings.catch_warnings(), matplotlib.rc_context({"backend": "agg", "figure.max_open_warning": 0}):
        warnings.simplefilter("ignore")
        for each in PICTURES:
            assert getattr(optuna.visualization, each)(seen) is not None
            assert getattr(optuna.visualization.matplotlib, each)(seen) is not None
    assert set(optuna.importance.get_param_importances(seen)) == {"x", "n", "k"}


@pytest.mark.parametrize("kind", KINDS)
def test_own_figures_take_choices_that_are_lists_and_dicts(kind):
    ran = searched_with_lists()
    assert ran.plot(kind) is not None


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ((1, 2), r"the choice \(1, 2\) \(of type tuple\) cannot be given back"),
        (Small, r"the choice <class 'test_study_params.Small'> \(of type type\) cannot"),
        (Colour.RED, r"\(of type test_study_params.Colour\) cannot be given back"),
        ([(1,)], r"the choice \[\(1,\)\] \(of type list\)"),
        (math.nan, r"the choice nan \(of type float\)"),
    ],
)
def test_choices_that_do_not_come_back_are_refused(choice, said):
    with pytest.raises(ArgumentError, match=rf"Study\(space={{'kind': Categorical(.|\n)*{said}"):
        study("refused", space={"kind": CategoricalDistribution([choice, "other"])})


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ({"t": (1, 2)}, r"for trial 0 it returned \(1, 2\) \(of type tuple\) for the parameter 't'"),
        ({"a": np.ones(2)}, r"\(of type numpy.ndarray\) for the parameter 'a'"),
        ({"d": {1: 2}}, r"{1: 2} \(of type dict\) for the parameter 'd'"),
        ({1: 2}, r"a parameter named 1 \(of type int\)"),
        (None, r"for trial 0 it returned None. It must return the trial's parameters"),
    ],
)
def test_what_a_sampler_returns_that_does_not_come_back_is_refused(returned, said):
    with pytest.raises(ArgumentError, match=said):
        study("refused", space=None, sampler=lambda ledger: returned).run()


def test_rows_that_were_written_with_plain_parameters_are_read():
    event = {"what": "suggested", "trial": 0, "params": {"x": 1.5}, "run": "old-0"}
    ledger = Ledger.from_chunks(["min"], [{"first": 0, "events": [event]}])
    assert ledger[0].params == {"x": 1.5}


def test_distributions_of_numbers_stay_as_they_are():
    space = {"x": FloatDistribution(0.0, 1.0)}
    assert study("same", space=space).space == space


@pytest.mark.parametrize("direction", ["min", "max"])
def test_values_without_end_are_kept_in_postgresql(direction, postgresql):
    options = {"fn": lambda trial: math.inf, "direction": direction, "persister": postgresql.url}
    ran = study(f"endless-{direction}", n_trials=2, **options).run()
    stored = Study.open(f"endless-{direction}", persister=postgresql.url)
    assert stored.state["best"] == ran.state["best"]
    assert (stored.state["best"]["value"], stored.best.value) == (math.inf, math.inf)
    assert study(f"endless-{direction}", n_trials=3, **options).run().best.number == 0
