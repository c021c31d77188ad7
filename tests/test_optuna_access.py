"""What is used of Optuna below its public names is there, and does what it did."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.trial import TrialState

from burr_lightning.tuning import optuna_access as access

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
SPACE = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}


@pytest.fixture
def study():
    with access.quiet():
        return optuna.create_study(study_name="a", sampler=optuna.samplers.RandomSampler(seed=0))


def asked(sampler, seed):
    with access.quiet():
        study = optuna.create_study(sampler=access.seeded(sampler, np.random.SeedSequence([seed, 0])))
    return access.ask(study, SPACE).params


@pytest.mark.parametrize(
    "make",
    [
        optuna.samplers.RandomSampler,
        optuna.samplers.TPESampler,
        optuna.samplers.NSGAIISampler,
        lambda: optuna.samplers.GPSampler(),
        lambda: optuna.samplers.QMCSampler(scramble=True, seed=0),
        lambda: optuna.samplers.PartialFixedSampler({"x": 0.5}, optuna.samplers.RandomSampler()),
    ],
)
def test_every_random_number_of_a_sampler_comes_from_the_seed(make):
    assert asked(make(), 1) == asked(make(), 1)
    assert asked(make(), 1) != asked(make(), 2)


def test_random_states_are_where_they_were():
    assert isinstance(vars(optuna.samplers.RandomSampler())["_rng"], LazyRandomState)
    assert "_seed" in vars(optuna.samplers.QMCSampler())


def test_a_seed_of_the_user_s_is_the_study_s():
    def drawn(seed):
        return access.drawn_seed(optuna.samplers.TPESampler(seed=seed))

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_grid_knows_its_points():
    assert access.grid_points(optuna.samplers.GridSampler({"x": [1, 2, 3], "y": [1, 2]})) == 6


def test_a_trial_is_asked_for_told_and_kept(study):
    trial = access.ask(study, SPACE)
    assert access.trials(study) == 1
    assert not access.is_over(study, 0)
    access.tell(study, trial.number, TrialState.PRUNED, [0.3], {4: 0.3}, 12.0)
    assert access.is_over(study, 0)
    assert study.trials[0].intermediate_values == {4: 0.3}
    assert study.trials[0].state is TrialState.PRUNED


def test_what_samplers_keep_is_read_and_written(study):
    access.set_study_attributes(study, {"of": "study"})
    access.add_running(study)
    access.set_trial_attributes(study, 0, {"of": "trial"})
    assert access.study_attributes(study) == {"of": "study"}
    assert access.trial_attributes(study, 0) == {"of": "trial"}


def test_a_trial_that_is_over_stays_as_it_was(study):
    access.add_running(study)
    access.report(study, 0, 1, 0.5)
    access.set_over(study, 0, TrialState.COMPLETE, [0.5])
    access.report(study, 0, 2, 0.1)
    access.set_trial_attributes(study, 0, {"late": 1})
    access.set_over(study, 0, TrialState.FAIL, None)
    assert study.trials[0].state is TrialState.COMPLETE
    assert study.trials[0].intermediate_values == {1: 0.5}
    assert access.trial_attributes(study, 0) == {}


def test_notes_of_optuna_are_as_the_user_had_them():
    before = optuna.logging.get_verbosity()
    with access.quiet():
        assert optuna.logging.get_verbosity() == optuna.logging.WARNING
    assert optuna.logging.get_verbosity() == before


def test_hyperband_has_its_brackets_though_it_is_never_asked():
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3)
    with access.quiet():
        study = optuna.create_study(study_name="a", pruner=pruner)
    assert pruner._pruners == []
    access.begin_hyperband(study)
    access.begin_hyperband(study)
    assert len(pruner._pruners) == 3
    trials = [access.ask(study, SPACE).number for _ in range(30)]
    assert {pruner._get_bracket_id(study, access._trial(study, number)) for number in trials} == {0, 1, 2}


def test_hyperband_of_unknown_end_is_known():
    hyperband = optuna.pruners.HyperbandPruner
    assert access.has_hyperband_of_unknown_end(hyperband())
    assert access.has_hyperband_of_unknown_end(optuna.pruners.PatientPruner(hyperband(), 1))
    assert not access.has_hyperband_of_unknown_end(hyperband(max_resource=9))
    assert not access.has_hyperband_of_unknown_end(None)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("sampler", ["TPESampler", "GPSampler", "NSGAIISampler", "NSGAIIISampler"])
def test_constraints_of_a_sampler_are_known(sampler):
    make = getattr(optuna.samplers, sampler)
    assert not access.has_constraints(make())
    assert access.has_constraints(make(constraints_func=lambda trial: (0.0,)))


def test_brute_force_knows_its_points():
    space = {
        "n": IntDistribution(1, 7, step=3),
        "x": FloatDistribution(0.0, 0.3, step=0.1),
        "c": CategoricalDistribution(["a", "b"]),
    }
    brute_force = optuna.samplers.BruteForceSampler
    assert access.brute_force_points(brute_force(), space) == 3 * 4 * 2
    assert access.brute_force_points(brute_force(avoid_premature_stop=True), space) is None
    assert access.brute_force_points(brute_force(), SPACE) is None


def test_a_sampler_may_stop_a_study_that_optuna_does_not_run():
    with access.quiet():
        study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler())
    space = {"n": IntDistribution(1, 2)}
    for number in range(2):
        assert not access.is_stopped(study)
        access.ask(study, space)
        access.tell(study, number, TrialState.COMPLETE, [0.3], {}, 12.0)
    assert access.is_stopped(study)
