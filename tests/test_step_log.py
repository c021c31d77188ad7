"""Following a run from outside: its log, its rows and how far its phase is, read on and not anew."""

import json
from pathlib import Path

import pytest
from burr.core import State
from burr.core.persistence import SQLitePersister
from burr.tracking import LocalTrackingClient
from lightning.pytorch import Callback

from burr_lightning import BurrCallback
from burr_lightning.layout import RunFolder
from burr_lightning.live_tracker import PhaseProgress, read_progress
from burr_lightning.rows import StateRows
from burr_lightning.state import PhaseReport, initial_state, recorded
from burr_lightning.step_log import StepLog
from burr_lightning.steps import read_steps
from burr_lightning.testing import ScriptedModule, scripted_loader


def folder_of(run_id):
    return Path(LocalTrackingClient("lightning").storage_dir) / run_id


def fit(make_trainer, max_epochs, *others, **options):
    trainer = make_trainer(BurrCallback(run_id="a"), *others, max_epochs=max_epochs, **options)
    trainer.fit(ScriptedModule(val_loss=[0.5]), scripted_loader(6), scripted_loader())


class TestStepLog:
    def test_it_has_the_steps_that_a_whole_reading_has(self, make_trainer):
        fit(make_trainer, max_epochs=3)
        followed = StepLog(folder_of("a")).steps()
        assert [logged.step for logged in followed] == list(read_steps(folder_of("a")))
        assert [logged.step.batches for logged in followed] == [None, 6, 4, 6, 4, 6, 4, None]
        assert followed[-1].state["stop_reason"] == "max_epochs=3 was reached"

    def test_each_look_reads_what_is_new_and_no_more(self, tmp_path):
        log, path = StepLog(tmp_path), tmp_path / "log.jsonl"
        path.write_bytes(b"".join(map(line, range(5000))))
        log.steps()
        for number in range(5000, 5050):
            with path.open("ab") as file:
                file.write(line(number))
            before = bytes_read()
            newest = log.steps()[-1].step.sequence_id
            assert bytes_read() - before < 20 * len(line(number))
            assert newest == number

    def test_a_line_that_is_not_whole_yet_is_taken_when_it_is(self, tmp_path):
        log, path = StepLog(tmp_path), tmp_path / "log.jsonl"
        path.write_bytes(line(0) + line(1)[:20])
        assert [logged.step.sequence_id for logged in log.steps()] == [0]
        with path.open("ab") as file:
            file.write(line(1)[20:])
        assert [logged.step.sequence_id for logged in log.steps()] == [0, 1]

    def test_of_a_long_log_the_end_is_read(self, tmp_path):
        count = 20_000
        (tmp_path / "log.jsonl").write_bytes(b"".join(map(line, range(count))))
        numbers = [logged.step.sequence_id for logged in StepLog(tmp_path).steps()]
        assert numbers == list(range(count - len(numbers), count))
        assert 100 < len(numbers) < 1000

    def test_steps_that_a_resume_took_out_are_gone(self, make_trainer):
        fit(make_trainer, max_epochs=2)
        log = StepLog(folder_of("a"))
        log.steps()
        with (folder_of("a") / "log.jsonl").open("ab") as file:
            file.write(line(6, action="undone"))
        assert log.steps()[-1].step.action == "undone"
        fit(make_trainer, max_epochs=3)
        assert [logged.step for logged in log.steps()] == list(read_steps(folder_of("a")))

    def test_a_run_that_is_not_tracked_has_no_steps(self, tmp_path):
        assert StepLog(None).steps() == StepLog(tmp_path / "nothing").steps() == []


def line(number, action="train_epoch"):
    entry = {"type": "begin_entry", "start_time": "2026-01-01T00:00:00", "action": action, "inputs": {}}
    return json.dumps({**entry, "sequence_id": number}).encode() + b"\n"


def bytes_read():
    """What this process has read from files so far."""
    [count] = [row for row in Path("/proc/self/io").read_text().splitlines() if row.startswith("rchar")]
    return int(count.split()[1])


class Looks(Callback):
    """Notes after each batch what is said of the open phase."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, *args):
        step = StepLog(folder_of("a")).steps()[-1].step
        assert step.action == "train_epoch"
        self.seen.append(read_progress(folder_of("a"), step.sequence_id))


class TestProgress:
    @pytest.mark.parametrize("own_tracker", [False, True])
    def test_an_open_phase_says_how_far_it_is(self, make_trainer, monkeypatch, own_tracker):
        monkeypatch.setattr("burr_lightning.live_tracker._SECONDS", 0.0)
        looks, tracker = Looks(), LocalTrackingClient("lightning") if own_tracker else True
        trainer = make_trainer(BurrCallback(run_id="a", tracker=tracker), looks, max_epochs=2)
        trainer.fit(ScriptedModule(val_loss=[0.5]), scripted_loader(6))
        said = [progress and progress.batch for progress in looks.seen]
        # Burr gives an item out when the next one is there, and our callback comes last of all.
        expected = [None, None, 0, 1, 2, 3] * 2
        assert said == ([None] * 12 if own_tracker else expected)

    def test_a_phase_that_is_over_says_nothing_of_the_next(self, make_trainer):
        fit(make_trainer, max_epochs=1)
        assert read_progress(folder_of("a"), 1) is not None
        assert read_progress(folder_of("a"), 2) is None

    def test_batches_per_second_are_those_between_the_first_and_the_newest(self):
        assert PhaseProgress(3, 4, 100.0, 24, 110.0).per_second == 2.0
        assert PhaseProgress(3, 4, 100.0, 4, 100.0).per_second is None
        assert PhaseProgress(3, 4, 100.0, 24, 90.0).per_second is None

    def test_where_it_cannot_be_written_the_training_goes_on(self, make_trainer, caplog):
        (folder_of("a") / "progress.tmp").mkdir(parents=True)
        fit(make_trainer, max_epochs=2)
        assert [record.message for record in caplog.records if "How far" in record.message]
        assert len(read_steps(folder_of("a"))) == 6


class TestLimits:
    @pytest.mark.parametrize(
        ("options", "limits"),
        [
            ({"max_epochs": 2}, (2, None, None)),
            ({"max_epochs": -1, "max_steps": 7}, (None, 7, None)),
            ({"max_epochs": 1, "max_time": {"hours": 2}}, (1, None, 7200.0)),
        ],
    )
    def test_a_run_knows_what_limits_it(self, make_trainer, own_home, options, limits):
        fit(make_trainer, **options)
        info = RunFolder(own_home / "runs", "lightning", "a").info()
        assert tuple(info.limits[name] for name in ("max_epochs", "max_steps", "max_time")) == limits

    def test_the_newest_process_says(self, make_trainer, own_home):
        fit(make_trainer, max_epochs=1)
        fit(make_trainer, max_epochs=2)
        assert RunFolder(own_home / "runs", "lightning", "a").info().limits["max_epochs"] == 2


class TestKnownRows:
    def stored(self, path, epochs, first=0, state=None, names=("val_loss",), rows=None):
        rows = rows or StateRows(path, "project", "run")
        state = state or State(initial_state({}, "val_loss", None))
        for epoch in range(first, epochs):
            report = PhaseReport(epoch, 0, 9, epoch, dict.fromkeys(names, 1 / (epoch + 1)), ends_epoch=True)
            state = recorded(state, report)
            rows.save(epoch, "validate", state)
        return rows, state

    @pytest.fixture
    def persister(self, tmp_path):
        persister = SQLitePersister(str(tmp_path / "state.sqlite"))
        persister.initialize()
        return persister

    def test_of_a_longer_history_the_end_is_read(self, persister):
        rows, state = self.stored(persister, 200)
        known = StateRows(persister, "project", "run").newest()
        persister.connection.execute("DELETE FROM burr_state WHERE sequence_id < 150")
        for epochs in (201, 205, 230):
            rows, state = self.stored(persister, epochs, first=len(state["history"]), state=state, rows=rows)
            known = StateRows(persister, "project", "run").newest(known)
            assert known.state["history"] == state["history"]
            assert known.state["history"].directions == state["history"].directions

    def test_a_row_that_is_known_is_not_read_again(self, persister):
        self.stored(persister, 20)
        known = StateRows(persister, "project", "run").newest()
        assert StateRows(persister, "project", "run").newest(known) is known

    @pytest.mark.parametrize(("known", "epochs"), [(20, 5), (20, 30), (24, 30)])
    def test_a_history_that_is_another_one_is_read_as_a_whole(self, persister, known, epochs):
        self.stored(persister, known)
        known = StateRows(persister, "project", "run").newest()
        persister.connection.execute("DELETE FROM burr_state")
        _, other = self.stored(persister, epochs, names=("another",))
        assert StateRows(persister, "project", "run").newest(known).state["history"] == other["history"]
