import json
import math

import pytest
from burr.core import State
from burr.core.persistence import InMemoryPersister, SQLitePersister

from burr_lightning.errors import ResumeError
from burr_lightning.rows import StateRows
from burr_lightning.state import PhaseReport, initial_state, recorded


def sqlite(path):
    persister = SQLitePersister(str(path / "state.sqlite"))
    persister.initialize()
    return persister


def after_epochs(count, names=("val_loss",), state=None, first=0):
    state = state or State(initial_state({"lr": 0.1}, "val_loss", None))
    for epoch in range(first, count):
        metrics = dict.fromkeys(names, 1 / (epoch + 1))
        report = PhaseReport(epoch, 0, 9, 10 * epoch, metrics, ends_epoch=True)
        state = recorded(state, report)
        yield state


@pytest.mark.parametrize("make", [lambda path: InMemoryPersister(), sqlite], ids=["memory", "sqlite"])
@pytest.mark.parametrize("epochs", [1, 7, 8, 9, 40])
def test_the_whole_history_comes_back_from_any_persister(make, epochs, tmp_path):
    persister = make(tmp_path)
    rows = StateRows(persister, "project", "run")
    states = list(after_epochs(epochs))
    for sequence_id, state in enumerate(states):
        rows.save(2 * sequence_id, "validate", state)
    row = StateRows(persister, "project", "run").newest()
    assert row.sequence_id == 2 * (epochs - 1)
    assert row.position == "validate"
    assert row.state["history"] == states[-1]["history"]
    assert row.state.get_all() == states[-1].get_all()
    middle = StateRows(persister, "project", "run").at(2 * (epochs // 2))
    assert middle.state["history"] == states[epochs // 2]["history"]


def test_a_row_stays_under_4_kib_however_long_the_run(tmp_path):
    persister = sqlite(tmp_path)
    rows = StateRows(persister, "project", "run")
    names = [f"validation_metric_{number}" for number in range(10)]
    for state in after_epochs(10_000, names):
        if state["epoch"] % 4 == 0 or state["epoch"] > 9_980:
            rows.save(state["epoch"], "validate", state)
    sizes = persister.connection.execute("SELECT sequence_id, length(state) FROM burr_state").fetchall()
    assert max(size for epoch, size in sizes if epoch > 9_900) <= 4096
    assert len(rows.newest().state["history"]) == 10_000


def test_rows_go_on_behind_the_row_that_a_run_was_resumed_from(tmp_path):
    persister = sqlite(tmp_path)
    rows = StateRows(persister, "project", "run")
    first = list(after_epochs(12))
    for sequence_id, state in enumerate(first):
        rows.save(sequence_id, "validate", state)
    again = StateRows(persister, "project", "run")
    row = again.newest()
    again.go_on_from(row)
    states = list(after_epochs(15, state=row.state, first=12))
    for sequence_id, state in enumerate(states, start=12):
        again.save(sequence_id, "validate", state)
    stored = json.loads(
        persister.connection.execute("SELECT state FROM burr_state WHERE sequence_id = 12").fetchone()[0]
    )
    assert stored["history"]["first"] == 12
    assert stored["history"]["before"] == 11
    assert StateRows(persister, "project", "run").newest().state["history"] == states[-1]["history"]


def test_a_history_that_does_not_continue_the_stored_one_is_stored_whole(tmp_path):
    rows = StateRows(sqlite(tmp_path), "project", "run")
    for sequence_id, state in enumerate(after_epochs(9)):
        rows.save(sequence_id, "validate", state)
    *_, other = after_epochs(3, names=["another"])
    rows.save(20, "validate", other)
    assert rows.newest().state["history"] == other["history"]


def test_values_that_json_cannot_hold_come_back(tmp_path):
    persister = sqlite(tmp_path)
    rows = StateRows(persister, "project", "run")
    state = State(initial_state({}, "val_loss", "min"))
    metrics = {"val_loss": -math.inf, "nan": math.nan, "inf": math.inf}
    rows.save(0, "validate", recorded(state, PhaseReport(0, None, None, 0, metrics, ends_epoch=True)))
    text = persister.connection.execute("SELECT state FROM burr_state").fetchone()[0]
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    state = rows.newest().state
    assert math.isnan(state["metrics"]["nan"])
    assert state["metrics"]["inf"] == math.inf
    assert state["best"]["value"] == -math.inf


def test_a_run_without_rows_has_none():
    rows = StateRows(InMemoryPersister(), "project", "run")
    assert rows.newest() is None
    assert list(rows.checkpoints()) == []


def test_the_checkpoints_of_rows_come_newest_first(tmp_path):
    rows = StateRows(sqlite(tmp_path), "project", "run")
    for state in after_epochs(3):
        rows.save(3 * state["epoch"], "validate", state.update(checkpoint={"path": str(state["epoch"])}))
    assert list(rows.checkpoints()) == [(6, {"path": "2"}), (3, {"path": "1"}), (0, {"path": "0"})]


def test_a_hole_in_the_history_is_an_error_not_a_shorter_history(tmp_path):
    persister = sqlite(tmp_path)
    rows = StateRows(persister, "project", "run")
    for sequence_id, state in enumerate(after_epochs(20)):
        rows.save(sequence_id, "validate", state)
    persister.connection.execute("DELETE FROM burr_state WHERE sequence_id = 7")
    with pytest.raises(ResumeError, match="row 7 is gone"):
        rows.newest()
