"""The benchmarks run, and what they measure does not grow with the run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import growth
import metrics_mixin
import stopping


def test_an_epoch_costs_the_same_late_as_early_and_a_list_in_the_state_does_not(tmp_path):
    (early, early_bytes), (late, late_bytes) = growth.early_and_late(
        growth.walk(tmp_path / "ours", 1000, naive=False)
    )
    assert late < 3 * early
    assert late_bytes < 1.2 * early_bytes
    (_, first), (_, last) = growth.early_and_late(growth.walk(tmp_path / "naive", 300, naive=True))
    assert last > 4 * first


def test_a_condition_costs_the_same_at_any_epoch():
    times = stopping.evaluation_times(4000)
    assert all(late < 3 * early for early, late in times.values()), times


def test_replaying_is_measured_for_all_conditions():
    whole, each = stopping.replay_seconds(3, 50)
    assert len(each) == 10
    assert 0 < whole < 10 * sum(each.values())


def test_metrics_of_the_mixin_cost_about_what_those_by_hand_do_and_have_their_values():
    spent, logged = zip(
        *(metrics_mixin.epoch_of(way, 4) for way in ("by hand, no groups", "mixin")), strict=True
    )
    assert len(logged[0]) == 10
    assert logged[1] == logged[0]
    assert spent[1] < 2 * spent[0]
