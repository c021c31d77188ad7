"""The benchmarks run, and what they measure does not grow with the run.

These are ratios of the processor's seconds of this thread, the smallest of a few tries: the tests share the
machine with others, and what has grown has grown in every try.
"""

import json
import os
import time
from contextlib import contextmanager
from pathlib import Path

import batch_cost
import bench
import digits_model
import epoch_cost
import growth
import measured
import metrics_mixin
import optuna
import plugin
import stopping
import study
import study_scale


def test_an_epoch_costs_the_same_late_as_early_and_a_list_in_the_state_does_not(tmp_path):
    def ratio(number):
        walked = growth.walk(tmp_path / f"ours{number}", 600, naive=False, clock=time.thread_time)
        (early, early_bytes), (late, late_bytes) = growth.early_and_late(walked)
        assert late_bytes < 1.2 * early_bytes
        return late / early

    assert is_below(3, ratio)
    (_, first), (_, last) = growth.early_and_late(growth.walk(tmp_path / "naive", 300, naive=True))
    assert last > 4 * first


def test_an_epoch_costs_no_more_than_a_few_times_what_lightning_s_own_callbacks_do():
    def ratio(number):
        ways = epoch_cost.bare, epoch_cost.lightning_s_own, epoch_cost.ours
        none, theirs, own = (epoch_cost.epoch_of(way, 40, time.thread_time) for way in ways)
        return (own - none) / (theirs - none)

    assert is_below(4, ratio)


def test_a_batch_costs_little_more_where_nobody_listens():
    def ratio(number):
        found = batch_cost.batches(8)
        return found["BurrCallback"] / found["bare Trainer"]

    assert is_below(1.2, ratio)


def test_a_table_and_a_figure_say_what_was_reached(tmp_path):
    rows = [
        measured.Measured("cost", "another", (0.4, 0.5, 0.7), "times", 0.6, sides={"ours [ms]": 5.0}),
        measured.Measured("speed", "another", (30.0, 40.0), "times", 50, at_least=True),
        measured.Measured("wait", "another", (-0.1, 0.2, 3.0), "ms", 2),
    ]
    assert [row.is_reached for row in rows] == [True, False, True]
    table = bench.table(rows)
    assert list(table.columns[2].cells) == ["0.50", "35.00", "0.20 ms"]
    assert [cell.endswith("missed") for cell in table.columns[-1].cells] == [False, True, False]
    page = bench.markdown(rows).splitlines()
    assert "| cost | another | 0.50 | 0.40 to 0.70 | at most 0.6 | reached |" in page
    assert page[-1] == "- cost: ours [ms]: 5"
    bench.figure(rows, tmp_path / "bench.png")
    measured.write(tmp_path / "bench.json", rows)
    stored = json.loads((tmp_path / "bench.json").read_text())
    assert [row["median"] for row in stored["rows"]] == [0.5, 35.0, 0.2]
    assert stored["machine"]["versions"]["lightning"]
    assert (tmp_path / "bench.png").stat().st_size > 5000


def test_a_part_is_measured_in_a_process_that_may_have_others(monkeypatch):
    benchmarks = str(Path(bench.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((benchmarks, str(Path(__file__).parent))))
    assert bench.in_a_process("nested_part", True) == [measured.Measured("nested", "", (1.0,), "times", 1)]


def test_a_plugin_for_other_scripts_trains_goes_on_and_says_how_far_it_came(tmp_path):
    for epochs in (2, 3):
        trainer = digits_model.trainer(max_epochs=epochs, **plugin.trainer_kwargs(str(tmp_path)))
        plugin.fit(trainer, digits_model.Digits(), *digits_model.loaders(), str(tmp_path), resume=epochs > 2)
        assert plugin.inspect(str(tmp_path)) == epochs
    step, files = plugin.burr_stepper(str(tmp_path), "history")
    step(1, {"metric_1": 0.5})
    assert all(Path(file).stat().st_size for file in files)
    row = plugin.loader(str(tmp_path))()
    assert list(row.state["history"]["metric_1"]) == [0.5]
    with optuna_is_quiet():
        assert len(plugin.hpo_noop(5, str(tmp_path), "random", "sqlite")) == 5


def test_a_condition_costs_the_same_at_any_epoch():
    def ratio(number):
        times = stopping.evaluation_times(4000, clock=time.thread_time)
        return max(late / early for early, late in times.values())

    assert is_below(3, ratio)


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

    assert is_below(2, ratio)


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


def is_below(bound, ratio):
    """Whether one of three measured ratios is below a bound."""
    return any(ratio(number) < bound for number in range(3))


@contextmanager
def optuna_is_quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
