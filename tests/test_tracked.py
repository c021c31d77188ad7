"""What Burr's local tracker keeps of a run, whatever a kill left of it and whatever is written in it."""

import json
import shutil
from pathlib import Path

import pytest
from burr.tracking import LocalTrackingClient

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.testing import ScriptedModule, scripted_loader


def folder_of(run_id):
    return Path(LocalTrackingClient("lightning").storage_dir) / run_id


class Configured(ScriptedModule):
    def __init__(self, note, **script):
        super().__init__(**script)
        self.save_hyperparameters("note")


def fit(make_trainer, max_epochs, note="plain", run_id="a", **options):
    trainer = make_trainer(BurrCallback(run_id, **options), max_epochs=max_epochs)
    trainer.fit(Configured(note, val_loss=[0.5]), scripted_loader(), scripted_loader())


@pytest.mark.parametrize("torn", ["", '{"root": "/so'])
def test_an_owner_file_that_is_torn_keeps_no_run_from_starting(make_trainer, torn):
    fit(make_trainer, max_epochs=1)
    (folder_of("a") / "burr_lightning.json").write_text(torn)
    fit(make_trainer, max_epochs=2)
    assert Run.open("a").epoch == 1
    assert "root" in json.loads((folder_of("a") / "burr_lightning.json").read_text())


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_a_line_of_the_log_ends_where_json_lines_end(make_trainer, separator):
    fit(make_trainer, max_epochs=2, note=f"one{separator}two")
    with (folder_of("a") / "log.jsonl").open("a") as log:
        log.write('{"type": "begin_entry", "torn')
    fit(make_trainer, max_epochs=3, note=f"one{separator}two")
    assert str(Run.open("a").path).endswith("best_model -> train_epoch -> validate -> best_model")
    assert len(Run.open("a").path) == 9
    assert (folder_of("a") / "undone.jsonl").read_text() == '{"type": "begin_entry", "torn'


def test_a_fork_does_not_take_over_what_a_deleted_run_of_its_name_has_left(make_trainer, own_home):
    for epoch in (1, 2):
        fit(make_trainer, max_epochs=4, checkpoints=Checkpoints(keep_last=9))
        Run.open("a").fork(epoch, "fork")
        fit(make_trainer, max_epochs=4, run_id="fork")
        numbers = [step.sequence_id for step in Run.open("fork").path]
        if epoch == 1:
            shutil.rmtree(own_home / "runs")
    assert numbers == [7, 8, 9]
    [kept] = folder_of("fork").parent.glob("fork-until-*")
    assert '"sequence_id":5' in (kept / "log.jsonl").read_text()


def test_a_run_that_was_not_tracked_at_first_does_not_take_over_an_earlier_one(make_trainer, own_home):
    fit(make_trainer, max_epochs=4)
    shutil.rmtree(own_home / "runs")
    fit(make_trainer, max_epochs=1, tracker=False)
    fit(make_trainer, max_epochs=2)
    assert [step.epoch for step in Run.open("a").path if step.epoch is not None] == [1, 1]


def test_a_home_that_was_moved_brings_the_steps_with_it(make_trainer, own_home, monkeypatch):
    fit(make_trainer, max_epochs=1)
    (own_home / "home").rename(own_home / "new home")
    monkeypatch.setenv("HOME", str(own_home / "new home"))
    fit(make_trainer, max_epochs=2)
    assert [step.epoch for step in Run.open("a").path if step.epoch is not None] == [0, 0, 1, 1]


def test_a_home_that_is_reached_in_another_way_is_the_same(make_trainer, own_home, monkeypatch):
    fit(make_trainer, max_epochs=1)
    (own_home / "link").symlink_to(own_home / "home")
    monkeypatch.setenv("HOME", str(own_home / "link"))
    fit(make_trainer, max_epochs=2)
    assert [step.epoch for step in Run.open("a").path if step.epoch is not None] == [0, 0, 1, 1]
