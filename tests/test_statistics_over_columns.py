"""A statistic over the columns of a history has the bits of the one that ran along, whatever was logged."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from burr_lightning.conditions import max_epochs, not_finite, plateau, reached
from burr_lightning.conditions import overfitting as overfitting_condition
from burr_lightning.conditions.columns import Columns
from burr_lightning.conditions.measured import Newest
from burr_lightning.conditions.overfitting import SinceBestWhileTrainingImproved
from burr_lightning.conditions.plateau import EpochsSinceBest
from burr_lightning.conditions.replayed import first_stop, first_stops
from burr_lightning.conditions.slope import Improvement
from burr_lightning.conditions.spike import ModifiedZScore
from burr_lightning.conditions.strips import ConsecutiveIncreases, GeneralizationLoss, ProgressQuotient
from burr_lightning.history import MetricHistory
from burr_lightning.improvements import SinceBest
from burr_lightning.logged import Logged
from burr_lightning.metric import MonitoredMetric

DELTAS = [0.0, 0.1, 0.25, 1e-4, 1e-50, 1e39, math.inf]
"""Also one that is 0 in 32 bits, and one that 32 bits do not reach."""
ODD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e300, 1.7e308, -1.7e308]
TIED = [0.1 * number for number in range(-2, 12)]
IN_32_BITS = [float(np.float32(value)) for value in TIED]
NUMBERS = st.one_of(
    st.sampled_from(TIED + IN_32_BITS),
    st.floats(0.05, 1.0),
    st.floats(0.0625, 1.0, width=32),
    st.sampled_from(ODD),
)
CHECKS = st.lists(
    st.tuples(
        st.fixed_dictionaries({}, optional={"train": NUMBERS, "val": NUMBERS}),
        st.booleans(),  # whether the epoch ends with it
        st.integers(0, 2),  # epochs that are left out after it
    ),
    min_size=1,
    max_size=60,
)


def overfitting(mode, delta, count):
    return SinceBestWhileTrainingImproved(MonitoredMetric("train", mode), MonitoredMetric("val", mode), delta)


STATISTICS = {
    "newest": lambda mode, delta, count: Newest("val"),
    "checks since best": lambda mode, delta, count: SinceBest(MonitoredMetric("val", mode), delta),
    "epochs since best": lambda mode, delta, count: EpochsSinceBest(MonitoredMetric("val", mode), delta),
    "overfitting": overfitting,
    "slope": lambda mode, delta, count: Improvement(MonitoredMetric("val", mode), count + 1),
    "spike": lambda mode, delta, count: ModifiedZScore(MonitoredMetric("val", mode), count + 2, delta),
    "GL": lambda mode, delta, count: GeneralizationLoss("val"),
    "PQ": lambda mode, delta, count: ProgressQuotient("train", "val", count + 1),
    "UP": lambda mode, delta, count: ConsecutiveIncreases(MonitoredMetric("val", mode), count),
}
EACH = pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
MANY = settings(max_examples=100)


def grown(checks):
    """The history after each check, as it grows."""
    history, epoch = MetricHistory(), 0
    for metrics, ends_epoch, left_out in checks:
        history = history.append(epoch, metrics, ends_epoch=ends_epoch)
        yield history, metrics
        epoch += 1 + left_out if ends_epoch else 0


def in_turn(*values):
    return [({"val": value}, True, 0) for value in values]


def bits(numbers):
    """Numbers by their bits; one NaN is like the other."""
    numbers = np.asarray(numbers, dtype=np.float64)
    return np.where(np.isnan(numbers), math.nan, numbers).tobytes()


def assert_same(statistic, checks):
    history, along = MetricHistory(), []
    for history, metrics in grown(checks):
        if any(name in metrics for name in statistic.metrics):
            along.append(history.statistic(statistic))
    recording = history.recording()
    if all(name in recording.series for name in statistic.metrics):
        assert bits(Columns(recording).numbers(statistic)[1]) == bits(along)


@EACH
@MANY
@given(
    checks=CHECKS,
    mode=st.sampled_from(["min", "max"]),
    delta=st.sampled_from(DELTAS),
    count=st.integers(1, 10),
)
@example(checks=in_turn(-math.inf, 0.1), mode="min", delta=1e39, count=1)
@example(checks=in_turn(1.0, 1.0, 1.0, math.nan), mode="min", delta=0.0, count=1)
@example(checks=in_turn(*[1.7e308] * 4, math.inf), mode="min", delta=0.0, count=2)
@example(checks=in_turn(-0.05000000074505806, -0.750000000745058, -0.75), mode="min", delta=0.7, count=1)
def test_it_has_the_bits_of_the_one_that_ran_along(statistic, checks, mode, delta, count):
    assert_same(statistic(mode, delta, count), checks)


def noisy(share_in_32_bits):
    """A training and a validation loss that fall."""
    noise = np.random.default_rng(7)
    curves = np.exp(-np.arange(400)[:, np.newaxis] / 90) + 0.1 + 0.02 * noise.random((400, 2))
    in_32_bits = curves.astype(np.float32)
    return np.where(noise.random((400, 2)) < share_in_32_bits, in_32_bits, curves).tolist()


@EACH
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=lambda share: f"{share:.0%} in 32 bits")
def test_so_it_has_on_long_noisy_curves(statistic, mode, share):
    checks = [({"train": train, "val": val}, True, 0) for train, val in noisy(share)]
    for delta, count in [(0.0, 1), (1e-4, 5), (0.01, 9), (0.0, 30)]:
        assert_same(statistic(mode, delta, count), checks)


@EACH
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("late", ["train", "val"])
def test_so_it_has_where_one_metric_begins_late_and_both_have_gaps(statistic, mode, late):
    draw, checks = random.Random(11), []
    for number, values in enumerate(noisy(0.0)):
        named = zip(("train", "val"), values, strict=True)
        there = {name: value for name, value in named if draw.random() < 0.6}
        if number < 12:
            there.pop(late, None)
        checks.append((there, draw.random() < 0.7, 0))
    for delta, count in [(0.0, 1), (1e-4, 4), (0.01, 9)]:
        assert_same(statistic(mode, delta, count), checks)
        assert_same(statistic(mode, delta, count), checks[:40])


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("delta", [0.1, 1e-8])
def test_values_at_the_edge_of_an_improvement_in_either_precision(mode, delta):
    edges = [value + off for value in TIED[5:] + IN_32_BITS[5:] for off in (0.0, 1e-9, -1e-9)]
    pairs = [list(pair) for pair in itertools.product(edges, repeat=2)]
    draw = random.Random(5)
    for values in pairs + [draw.choices(edges, k=30) for _ in range(500)]:
        statistic = SinceBest(MonitoredMetric("val", mode), delta)
        along = list(statistic.values(enumerate(values)))
        column = np.array(values)
        over = statistic.over(Logged(np.arange(len(values)), (column,), (column == column,)))
        assert over.tolist() == along, values


def test_windows_that_are_sorted_in_several_parts_have_the_same_scores():
    noise = np.random.default_rng(3)
    values = np.where(noise.random(2000) < 0.001, math.nan, noise.random(2000)).tolist()
    assert_same(
        ModifiedZScore(MonitoredMetric("val"), 300, 0.0), [({"val": value}, True, 0) for value in values]
    )


def test_conditions_that_share_what_they_compute_stop_where_each_does_alone():
    *_, (history, _) = grown([({"train": 0.9**n, "val": abs(n - 9) / 10}, True, 0) for n in range(30)])
    recording = history.recording()
    conditions = [
        plateau("val", 3),
        plateau("val", 9) | reached("val", 0.1),
        plateau("val", 3, mode="max") & ~not_finite("val"),
        plateau("val", 3, min_delta=0.3),
        overfitting_condition("train", "val", 4),
        reached("val", 0.1),
        max_epochs(12),
    ]
    stops = first_stops(conditions, recording)
    assert stops == [first_stop(condition, recording) for condition in conditions]
    assert stops == [12, 8, 3, 6, 13, 8, 11]
