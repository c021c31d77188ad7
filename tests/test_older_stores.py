"""Stores of older versions: everything that reads them works, and a run goes on or says what to do."""

import json
import sqlite3
from contextlib import closing

import pytest
import torch
from click.testing import CliRunner
from older_stores import STORES, Line, train, unpacked
from servers import stored_rows

from burr_lightning import Run, list_runs
from burr_lightning.cli import main
from burr_lightning.errors import OlderCheckpointError, UnreadableRowError


@pytest.fixture(params=STORES)
def store(request, own_home):
    unpacked(request.param, own_home)
    return request.param


def said(*arguments):
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    assert "damaged" not in done.output
    return done.stdout


def test_it_is_listed_and_shown(store):
    [run] = json.loads(said("runs", "--json"))
    assert (run["status"], run["epoch"], run["best"]["epoch"], run["rows_error"]) == ("finished", 2, 2, None)
    shown = json.loads(said("show", "old", "--json"))
    assert [step["action"] for step in shown["path"]][:2] == ["process_data", "train_epoch"]
    assert len(shown["path"]) == 8
    assert len(Run.open("old").history["val_loss"]) == 3
    assert said("review").startswith("No run waits")


def test_its_commits_are_whole(store):
    found = json.loads(said("verify", "old", "--json"))
    assert found["sound"]
    assert [commit["verdict"] for commit in found["commits"]] == [
        "whole",
        "pruned",
        "whole",
        "whole",
        "whole",
    ]
    assert found["resume"]["epoch"] == 2


def test_it_is_drawn_and_compared(store):
    assert "train_epoch" in said("graph", "old")
    compared = json.loads(said("compare", "old", "--stop", 'plateau("val_loss", patience=1)', "--json"))
    assert "old" in json.dumps(compared)


def test_its_weights_and_its_history_are_taken_out(store, own_home):
    assert "the weights of epoch 2" in said("export", "old", "--weights", "w.pt", "--history", "h.csv")
    weights = torch.load("w.pt", weights_only=True)
    Line().load_state_dict(weights)
    assert len((own_home / "h.csv").read_text().splitlines()) == 4


def test_it_is_pruned(store):
    found = json.loads(said("prune", "old", "--keep-last", "1", "--yes", "--json"))
    assert [file["why"] for file in found["runs"][0]["files"]] == ["epoch 1"]
    assert Run.open("old").verify().sound


def test_it_is_forked(own_home):
    unpacked("older_store", own_home)
    fork = Run.open("old").fork(epoch=1, run_id="fork")
    assert train(4, run_id="fork").state["epoch"] == 3
    assert Run.open("fork").verify().sound
    assert fork.parent.run_id == "old"


def test_it_is_deleted_with_its_rows(store, own_home):
    said("delete", "old", "--yes")
    assert list_runs() == []
    assert stored_rows(f"sqlite:///{own_home}/runs/state.sqlite", "old") == []
    # The first version did not write down whose a tracker's folder is.
    assert (own_home / "home/.burr/lightning/old").exists() == (store == "oldest_store")
    assert train(1).run.verify().sound


def test_the_run_goes_on_where_its_checkpoints_hold_enough(own_home):
    unpacked("older_store", own_home)
    before = list(Run.open("old").history["val_loss"])
    burr = train(5)
    assert burr.state["epoch"] == 4
    assert list(burr.history["val_loss"])[:3] == before
    assert burr.run.verify().sound
    assert burr.run.path[-1].action == "best_model"


def test_where_they_do_not_it_says_what_to_do_and_stays_as_it_is(own_home):
    unpacked("oldest_store", own_home)
    with pytest.raises(
        OlderCheckpointError, match=r"lacks .*random.*burr-lightning export old --weights"
    ) as raised:
        train(5)
    assert "optimization" in raised.value.missing
    assert Run.open("old").epoch == 2
    assert Run.open("old").verify().sound
    assert train(3).run.status == "finished"  # nothing is left to train, so nothing is missed


def test_a_row_that_has_lost_its_digest_is_not_taken_for_an_older_one(own_home):
    train(2)
    with closing(sqlite3.connect(own_home / "runs" / "state.sqlite")) as rows, rows:
        rows.execute("UPDATE burr_state SET state = json_remove(state, '$.__digest')")
    assert Run.open("old").state is None
    with pytest.raises(UnreadableRowError):
        train(3)
