"""The benchmarks run, and what they measure does not grow with the run.

These are ratios of the processor's seconds of this thread, the smallest of a few tries: the tests share the
machine with others, and what has grown has grown in every try.
"""

import sys
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import growth
import metrics_mixin
import optuna
import stopping
import study
import study_scale


def test_an_epoch_costs_the_same_late_as_early_and_a_list_in_the_state_does_not(tmp_path):
    def ratio(number):
        walked = growth.walk(tmp_path / f"ours{number}", 1000, naive=False, clock=time.thread_time)
        (early, early_bytes), (late, late_bytes) = growth.early_and_late(walked)
        assert late_bytes < 1.2 * early_bytes
        return late / early

    assert smallest(ratio) < 3
    (_, first), (_, last) = growth.early_and_late(growth.walk(tmp_path / "naive", 300, naive=True))
    assert last > 4 * first


def test_a_condition_costs_the_same_at_any_epoch():
    def ratio(number):
        times = stopping.evaluation_times(4000, clock=time.thread_time)
        return max(late / early for early, late in times.values())

    assert smallest(ratio) < 3


def test_replaying_is_measured_for_all_conditions():
    whole, each = stopping.replay_seconds(3, 50)
    assert len(each) == 10
    assert whole > 0
    assert all(seconds > 0 for seconds in each.values())


def test_metrics_of_the_mixin_cost_about_what_those_by_hand_do_and_have_their_values():
    def ratio(number):
        ways = "by hand, no groups", "mixin"
        spent, logged = zip(*(metrics_mixin.epoch_of(way, 4) for way in ways), strict=True)
        assert len(logged[0]) == 10
        assert logged[1] == logged[0]
        return spent[1] / spent[0]

    assert smallest(ratio) < 2


def test_what_a_study_costs_is_measured_beside_optuna_s_own(tmp_path):
    with optuna_is_quiet():
        ours, optunas = study.ours(12, tmp_path / "runs"), study.optunas(12, tmp_path)
    for marks in (ours, optunas):
        assert len(marks) == 12
        assert float(study.around(marks, 10)) > 0
        assert study.around(marks, 100) == "-"


def test_the_time_of_workers_that_objectives_take_is_measured():
    share, gap = study.busy(4, 0.05, 2)
    assert 0 < share <= 1
    assert gap > 0


def test_what_a_study_keeps_up_with_is_measured():
    with optuna_is_quiet():
        found = study_scale.measure("random", workers=5, trials=20, tracker=True)
    assert (found["trials"], found["workers"]) == (20, 5)
    assert found["trials_per_second"] > 0
    assert found["largest_row_bytes"] > 0
    assert set(found["mib"]) == {"state.sqlite", "log.jsonl"}


def smallest(ratio):
    """The smallest of up to three measured ratios, and no more of them than it takes to be below 1.5."""
    found = ratio(0)
    for number in (1, 2):
        if found > 1.5:
            found = min(found, ratio(number))
    return found


@contextmanager
def optuna_is_quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
