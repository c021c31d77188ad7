"""What a run writes into the log of Burr's tracker, step by step: nothing for nothing."""

import json

import numpy as np
import pytest
from burr.core import State
from long_log import METRICS, LongRun

from burr_lightning.live_tracker import telling_result, telling_state
from burr_lightning.state import PhaseReport, initial_state


def ends(log):
    entries = map(json.loads, log.read_text().splitlines())
    return [entry for entry in entries if entry["type"] == "end_entry"]


@pytest.fixture
def run(tmp_path):
    return LongRun(tmp_path / "runs", "long", epochs=20)


def test_an_epoch_with_ten_metrics_takes_5_kilobytes(run):
    before = run.log.stat().st_size
    run.go_on(20)
    assert len(METRICS) == 10
    assert (run.log.stat().st_size - before) / 20 < 5300  # 5,900 with all that Burr's own tracker writes


def test_keys_that_hold_nothing_are_left_out(run):
    state = ends(run.log)[-1]["state"]
    assert {
        "epoch",
        "metrics",
        "history",
        "best",
        "hparams",
        "data",
        "checkpoint",
        "finished",
    } <= state.keys()
    assert not {"review", "fork", "rollback", "stage", "shadow", "stop_reason"} & state.keys()
    assert state["finished"] is False


def test_keys_of_a_machine_of_ones_own_stay():
    state = State({**initial_state({}, None, None), "mine": None, "other": {}, "array": np.zeros(3)})
    told = telling_state(state)
    assert {"mine", "other", "array", "epoch", "history"} <= {*told.keys()}
    assert not {"hparams", "monitor", "review"} & {*told.keys()}


def test_a_report_says_what_the_state_beside_it_does_not(run):
    training, validation = ends(run.log)[-2:]
    known = {"epoch", "first_batch", "last_batch", "global_step", "is_check", "ends_epoch", "seconds"}
    assert training["result"].keys() == known
    assert validation["result"].keys() == {*known, "metrics"}
    assert {"validation_due", "can_stop", "can_pause"} <= validation["state"].keys()


def test_a_report_keeps_that_there_was_no_batch():
    told = telling_result(PhaseReport(0, None, None, 0, limit="max_epochs=1 was reached").as_result())
    assert told["first_batch"] is None
    assert told["limit"] == "max_epochs=1 was reached"


@pytest.mark.parametrize("result", [None, {}, {"mine": None, "checked": {}, "epoch": 3, "first_batch": None}])
def test_other_results_are_written_as_they_are(result):
    assert telling_result(result) == result
