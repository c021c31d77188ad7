"""What Burr's local tracker keeps of a run, whatever a kill left of it and whatever is written in it."""

import json
from pathlib import Path

import pytest
from burr.tracking import LocalTrackingClient

from burr_lightning import BurrCallback, Run
from burr_lightning.testing import ScriptedModule, scripted_loader


def folder_of(run_id):
    return Path(LocalTrackingClient("lightning").storage_dir) / run_id


class Configured(ScriptedModule):
    def __init__(self, note, **script):
        super().__init__(**script)
        self.save_hyperparameters("note")


def fit(make_trainer, max_epochs, note="plain"):
    trainer = make_trainer(BurrCallback(run_id="a"), max_epochs=max_epochs)
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
