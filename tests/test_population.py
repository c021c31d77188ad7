"""Whose turn it is in a population, and what it tries: pure functions of the ledger."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from population_runs import POPULATION, SPACE, study

from burr_lightning.errors import ArgumentError
from burr_lightning.tuning import Ledger, PopulationBased
from burr_lightning.tuning.evolving import PopulationDecisions, next_turn
from burr_lightning.tuning.exploring import explored, perturbed


def ledger_of(*segments, direction="min"):
    """A ledger of segments, each (member, max_epochs, value or status)."""
    ledger = Ledger([direction])
    for number, (member, max_epochs, value) in enumerate(segments):
        segment = {"member": member, "parent": None, "max_epochs": max_epochs}
        ledger = ledger.suggested({"lr": 0.01 * (number + 1)}, f"s-{number}", segment=segment)
        if value == "waiting":
            continue
        ledger = ledger.launched(number, at=1.0)
        if value in ("failed", "pruned"):
            ledger = ledger.ended(number, value, at=2.0)
        elif value != "running":
            ledger = ledger.ended(number, "finished", values=[value], at=2.0)
    return ledger


def turn(*segments, how=POPULATION, direction="min"):
    found = next_turn(ledger_of(*segments, direction=direction), how)
    return found.member, [parent.number for parent in found.parents], found.explores


FIRST = [(0, 2, 0.4), (1, 2, 0.1), (2, 2, 0.3), (3, 2, 0.2)]


@pytest.mark.parametrize(
    ("segments", "expected"),
    [
        pytest.param([], (0, [], False), id="the first member begins"),
        pytest.param(FIRST[:2], (2, [], False), id="then those that are not there yet"),
        pytest.param(FIRST, (0, [1], True), id="the worst exploits the best"),
        pytest.param([*FIRST, (0, 4, 0.05)], (1, [1], False), id="the others go on from their own"),
        pytest.param(
            [*FIRST, (0, 4, 0.05), (1, 4, 0.04), (2, 4, 0.03)],
            (3, [3], False),
            id="who is behind is judged by what the others came to after as many epochs",
        ),
        pytest.param(
            [(0, 2, 0.1), (1, 2, 0.2), (2, 2, 0.3), (3, 2, "running")],
            (0, [0], False),
            id="who has not finished is not there",
        ),
        pytest.param(
            [(0, 2, 0.3), (1, 2, 0.2), (2, 2, 0.1), (3, 2, "running")],
            (0, [0], False),
            id="and is no better either: too few are",
        ),
        pytest.param(
            [*FIRST, (0, 4, 0.3), (1, 4, "running"), (2, 4, "waiting"), (3, 4, 0.1)],
            (0, [1], True),
            id="who is behind counts with its newest value",
        ),
        pytest.param(
            [(0, 2, "running"), *FIRST[1:]], (1, [1], False), id="a member trains one segment at a time"
        ),
        pytest.param(
            [(0, 2, "failed"), *FIRST[1:]], (0, [1], True), id="one whose segment has failed exploits"
        ),
        pytest.param([(0, 2, "pruned"), *FIRST[1:]], (0, [1], True), id="and one that was pruned"),
        pytest.param(
            [*FIRST, (0, 4, 0.3), (1, 4, "failed"), (2, 4, 0.2), (3, 4, 0.2), (0, 6, 0.1)],
            (1, [1], True),
            id="its last good one may be the best, to be explored from",
        ),
        pytest.param(
            [(0, 2, "failed"), (1, 2, "failed"), (2, 2, "failed"), (3, 2, "failed")],
            (0, [], True),
            id="where nobody has finished it begins anew",
        ),
        pytest.param(
            [*FIRST, (0, 4, 0.3), (1, 4, 0.2), (2, 4, 0.2), (3, 4, 0.1), (1, 6, 0.4), (0, 6, 0.4)],
            (2, [6], False),
            id="whose newest trial is oldest has waited longest",
        ),
        pytest.param(
            [(0, 2, math.inf), (1, 2, math.inf), (2, 2, 0.3), (3, 2, 0.2)],
            (0, [0], False),
            id="of equals the older is better",
        ),
    ],
)
def test_whose_turn_it_is_and_what_it_goes_on_from(segments, expected):
    assert turn(*segments) == expected


def test_the_direction_says_who_is_strong():
    assert turn(*FIRST, direction="max") == (0, [0], False)
    assert turn(*FIRST, (0, 4, 0.5), direction="max") == (1, [0], True)


@pytest.mark.parametrize(
    ("population", "quantile", "strong"),
    [(2, 0.25, 1), (3, 0.5, 1), (8, 0.25, 2), (9, 0.25, 3), (10, 0.01, 1)],
)
def test_how_many_are_strong(population, quantile, strong):
    assert PopulationBased(population=population, quantile=quantile).strong == strong


def suggested(ledger, how=POPULATION, space=SPACE, seed=3):
    return PopulationDecisions(how, space, seed).suggest(ledger)


def test_the_first_members_are_those_that_a_random_search_of_the_seed_tries():
    random = study(
        "random", sampler=optuna.samplers.RandomSampler(), fn=lambda trial: 1.0, n_trials=4, seed=3
    )
    ledger, found = Ledger(["min"]), []
    for number in range(4):
        next_one = suggested(ledger)
        found.append(next_one.params)
        assert next_one.segment == {"member": number, "parent": None, "max_epochs": 2}
        ledger = ledger.suggested(next_one.params, f"s-{number}", segment=next_one.segment)
    assert found == [dict(trial.params) for trial in random.run().trials]


def test_a_decision_is_made_again_from_the_rows_and_differs_from_trial_to_trial():
    ledger = ledger_of(*FIRST)
    stored = Ledger.from_chunks(["min"], [ledger.chunk(0)])
    assert suggested(stored) == suggested(ledger)
    assert suggested(ledger).segment == {"member": 0, "parent": 1, "max_epochs": 4}
    assert suggested(ledger, seed=4).params != suggested(ledger).params
    parents = {
        suggested(ledger, PopulationBased(population=4, quantile=0.5), seed=seed).segment["parent"]
        for seed in range(20)
    }
    assert parents == {1, 3}


def test_who_goes_on_does_so_with_what_it_had():
    ledger = ledger_of(*FIRST, (0, 4, 0.05))
    found = suggested(ledger, space={"lr": SPACE["lr"]})
    assert found.params == dict(ledger[1].params)
    more = suggested(ledger)  # a parameter that the space did not have before
    assert (more.params["lr"], set(more.params)) == (0.02, set(SPACE))


MIXED = {
    "rate": FloatDistribution(1e-3, 1.0, log=True),
    "signed": FloatDistribution(-1.0, 1.0),
    "stepped": FloatDistribution(0.1, 0.9, step=0.2),
    "layers": IntDistribution(1, 9),
    "even": IntDistribution(2, 16, step=2),
    "width": IntDistribution(1, 1024, log=True),
    "heads": CategoricalDistribution([8, 1, 4, 2]),
    "kind": CategoricalDistribution(["a", "b", "c"]),
    "fixed": FloatDistribution(0.5, 0.5),
}


def test_exploring_stays_inside_the_space_however_often():
    random = np.random.default_rng(0)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    params, seen = study.ask(MIXED).params, {name: set() for name in MIXED}
    for _ in range(500):
        anew = study.ask(MIXED).params
        params = explored(params, anew, MIXED, PopulationBased(), random)
        for name, distribution in MIXED.items():
            assert distribution._contains(distribution.to_internal_repr(params[name])), (name, params[name])
            seen[name].add(params[name])
    assert all(len(values) > 1 for name, values in seen.items() if name != "fixed")
    assert seen["kind"] == {"a", "b", "c"}
    assert all(type(value) is int for value in seen["layers"] | seen["even"] | seen["heads"])


@pytest.mark.parametrize(
    ("name", "value", "factor", "expected"),
    [
        ("rate", 0.1, 1.25, 0.125),
        ("rate", 0.1, 0.8, 0.08000000000000002),
        ("rate", 0.9, 1.25, 1.0),
        ("signed", -0.5, 1.25, -0.625),
        ("signed", 0.0, 1.25, "anew"),
        ("stepped", 0.5, 1.25, 0.7),
        ("stepped", 0.5, 1.0, 0.5),
        ("layers", 2, 1.25, 3),
        ("layers", 2, 0.8, 1),
        ("layers", 1, 0.8, 1),
        ("layers", 8, 2.0, 9),
        ("even", 16, 0.8, 12),
        ("even", 2, 1.25, 4),
        ("width", 100, 1.25, 125),
        ("heads", 4, 1.25, 8),
        ("heads", 8, 1.25, 8),
        ("heads", 4, 0.8, 2),
        ("kind", "b", 1.25, "b"),
        ("fixed", 0.5, 1.25, 0.5),
    ],
)
def test_what_is_near_a_value(name, value, factor, expected):
    found = perturbed(value, MIXED[name], factor, "anew")
    assert found == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)
    assert type(found) is type(expected)


def test_how_often_a_parameter_is_drawn_anew_is_given():
    params, anew = (
        {"lr": 0.01, "momentum": 0.5, "dropout": 0.2},
        {"lr": 0.02, "momentum": 0.7, "dropout": 0.3},
    )
    random = np.random.default_rng(0)

    def share(resample):
        how = PopulationBased(resample=resample)
        found = [explored(params, anew, SPACE, how, random) for _ in range(300)]
        return sum(each[name] == anew[name] for each in found for name in SPACE) / 900

    assert share(0.0) == 0
    assert share(0.25) == pytest.approx(0.25, abs=0.05)
    assert share(1.0) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"population": 1}, r"PopulationBased\(population=1\): it must be whole, 2 or more"),
        ({"population": 4.0}, r"PopulationBased\(population=4.0\)"),
        ({"epochs": 0}, r"PopulationBased\(epochs=0\): it must be whole, 1 or more"),
        ({"epochs": True}, r"PopulationBased\(epochs=True\)"),
        ({"quantile": 0.6}, r"PopulationBased\(quantile=0.6\): it must be in \(0, 0.5\]"),
        ({"quantile": 0}, r"PopulationBased\(quantile=0\)"),
        ({"quantile": math.nan}, r"PopulationBased\(quantile=nan\)"),
        ({"resample": 1.5}, r"PopulationBased\(resample=1.5\): it must be in \[0, 1\]"),
        ({"factors": ()}, r"PopulationBased\(factors=\(\)\): it must be numbers more than 0 and not all 1"),
        ({"factors": (1.0, 1.0)}, r"PopulationBased\(factors=\(1.0, 1.0\)\)"),
        ({"factors": (0.0, 2.0)}, r"PopulationBased\(factors=\(0.0, 2.0\)\)"),
        ({"factors": "ab"}, r"PopulationBased\(factors='ab'\)"),
    ],
)
def test_what_a_population_cannot_be_is_refused(options, said):
    with pytest.raises(ArgumentError, match=said):
        PopulationBased(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"pruner": optuna.pruners.MedianPruner()},
            "a population gives up its weak members itself. Leave the",
        ),
        ({"direction": ["min", "max"]}, "a population is ranked by one value. Give it one direction"),
        ({"parallel": 5}, r"parallel=5\): a member trains one segment at a time.*parallel=4 or less"),
        ({"space": None}, r"Study\(space={}\): it must be a distribution for each parameter"),
    ],
)
def test_what_a_study_of_a_population_cannot_be_is_refused(options, said):
    with pytest.raises(ArgumentError, match=said):
        study("refused", **options)
