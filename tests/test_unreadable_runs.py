"""Runs whose run.json is torn, of another version, or may not be read: told, and deleted by name."""

import json
import math
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import deleted
import pytest
from click.testing import CliRunner
from forks import Child
from read_only import cli as without_rights
from servers import rows_of, stored_rows
from trains_beside import LOSSES, fit

from burr_lightning import Run, list_runs
from burr_lightning.cli import main
from burr_lightning.errors import UnreadableRunError
from burr_lightning.layout import home

WHY = "its run.json is torn, or of another version"
BROKEN = {
    "torn": '{"run_id": "dig',
    "emptied": "",
    "of zeros": "\0" * 300,
    "no object": "[]",
    "of another version": '{"name": "digits"}',
}
INFO = {"run_id": "digits", "project": "lightning", "monitor": "val_loss", "tracker": None, "created": 1.0}
ODD = [
    {"created": "x"},
    {"created": None},
    {"created": True},
    {"created": 1e20},
    {"created": math.nan},
    {"run_id": 7},
    {"project": ["lightning"]},
    {"monitor": 3},
    {"tracker": {}},
    {"persister": 1.5},
    {"launch": {"command": "train.py", "folder": "/"}},
    {"launch": {"command": ["train.py"], "folder": "/", "environment": {"HOME": 1}}},
    {"launch": {"folder": "/"}},
    {"parent": []},
    {"parent": {}},
    {"parent": {"run_id": "other", "sequence_id": 3}},
    {"parent": {"run_id": "other", "epoch": "1", "sequence_id": 3}},
    {"limits": {"max_epochs": "3"}},
    {"job": 7},
]
BROKEN |= {f"of another type: {odd}": json.dumps({**INFO, **odd}) for odd in ODD[::4]}


def cli(command, *arguments, code=0):
    done = CliRunner().invoke(main, [command, *map(str, arguments)])
    assert done.exit_code == code, done.output + repr(done.exception)
    return done


def facts(*arguments):
    return json.loads(cli(*arguments, "--json").stdout)


@pytest.fixture
def other():
    """A run beside it, to which nothing may happen."""
    return fit("other", 1).run


@pytest.fixture
def folder(other):
    """The folder of a run that cannot be opened."""
    folder = fit("digits", 3).run.folder
    (folder / "run.json").write_text(BROKEN["torn"])
    return folder


def test_each_command_says_what_is_wrong_and_what_to_do(folder):
    for command in ("show", "watch", "prune", "export", "fork"):
        arguments = ["digits@1", "new"] if command == "fork" else ["digits"]
        said = cli(command, *arguments, code=1).stderr
        assert f"Run 'digits' in {home(None)} cannot be opened: {WHY}." in said
        assert "run its script again" in said
        assert "burr-lightning delete digits --project lightning" in said
    assert cli("verify", "digits", code=2).stderr.count("cannot be opened") == 1
    with pytest.raises(UnreadableRunError, match="torn") as raised:
        Run.open("digits")
    assert (raised.value.wanted, raised.value.why) == ("digits", WHY)


def test_those_that_list_runs_list_the_others_and_name_it(folder):
    assert [run.run_id for run in list_runs()] == ["other"]
    listed = cli("runs")
    assert "other" in listed.stdout
    assert listed.stderr == (
        f"digits cannot be opened: {WHY}. burr-lightning delete digits --project lightning\n"
    )
    assert cli("runs", "--project", "another").stderr == ""
    told = cli("doctor", code=1).stdout
    assert f"{folder}: {WHY}, so its 2 checkpoints belong to no run." in told
    assert "burr-lightning delete digits --project lightning" in told


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_file_with_something_of_another_type_is_told_as_a_torn_one(folder, odd):
    (folder / "run.json").write_text(json.dumps({**INFO, **odd}))
    listed = cli("runs", "--tree")
    assert "other" in listed.stdout
    assert f"digits cannot be opened: {WHY}." in listed.stderr
    assert f"{folder}: {WHY}, so its 2 checkpoints belong to no run." in cli("doctor", code=1).stdout
    assert f"cannot be opened: {WHY}" in cli("show", "digits", code=1).stderr


def test_what_is_of_the_right_types_is_read_with_what_a_newer_version_has_added(folder):
    parent = {"run_id": "gone", "epoch": 1, "sequence_id": 3, "newer": []}
    launch = {"command": ["train.py"], "folder": "/", "newer": 1}
    more = {"parent": parent, "launch": launch, "limits": {"max_epochs": 3, "max_time": None}, "newer": {}}
    (folder / "run.json").write_text(json.dumps({**INFO, **more, "created": 1}))
    run = Run.open("digits")
    assert (str(run.parent), run.launched, run.created.timestamp()) == ("gone@1", True, 1)


@pytest.mark.parametrize("odd", [{"status": 7}, {"status": "odd"}, {"status": "failed", "error": ["x"]}])
def test_an_outcome_of_another_type_is_none(folder, odd):
    path = Run.open("other").folder / "outcome.json"
    path.write_text(json.dumps(odd))
    assert (Run.open("other").status, Run.open("other").error) == ("interrupted", None)
    assert "interrupted" in cli("show", "other").stdout


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_it_is_shown_first_and_goes_with_yes(folder, own_home, content):
    (folder / "run.json").write_text(content)
    rows = len(rows_of("digits"))
    shown = cli("delete", "digits").stdout
    assert f"not readable     {WHY}, so that where its rows are is not known:" in shown
    assert f"rows             {rows} in {home(None)}/state.sqlite" in shown
    assert shown.endswith("Nothing was deleted: --yes deletes it.\n")
    assert len(rows_of("digits")) == rows > 0
    [done] = facts("delete", "digits", "--yes")
    assert (done["unreadable"], done["rows"], done["half_deleted_before"]) == (WHY, rows, False)
    assert rows_of("digits") == []
    assert not folder.exists()
    assert not (own_home / "home/.burr/lightning/digits").exists()
    assert Run.open("other").verify().sound
    assert (own_home / "home/.burr/lightning/other").exists()
    again = fit("digits", 2)
    assert list(again.history["val_loss"]) == LOSSES[:2]


def test_a_run_that_can_be_opened_is_not_called_unreadable(other):
    assert "not readable" not in cli("delete", "other").stdout
    assert facts("delete", "other")[0]["unreadable"] is None


def test_its_script_writes_the_file_anew_and_goes_on(folder):
    assert fit("digits", 4).state["epoch"] == 3
    assert Run.open("digits").verify().sound


def test_the_latest_is_one_that_can_be_opened(folder):
    assert facts("delete", "latest")[0]["run_id"] == "other"


def test_rows_in_another_store_go_where_that_is_named(other, own_home):
    url = f"sqlite:///{own_home}/rows.db"
    for run_id in ("digits", "kept"):
        fit(run_id, 2, persister=url)
        (Path(home(None)) / f"lightning/{run_id}/run.json").write_text("")
    [told] = facts("delete", "digits", "--persister", url, "--yes")
    assert told["rows"] > 0
    assert stored_rows(url, "digits") == []
    assert stored_rows(url, "kept") != []
    assert facts("delete", "kept", "--yes")[0]["rows"] == 0  # in the store beside the runs there are none
    assert stored_rows(url, "kept") != []


def test_a_tracker_that_belongs_to_another_root_stays(folder, own_home):
    tracker = own_home / "home/.burr/lightning/digits"
    (tracker / "burr_lightning.json").write_text(json.dumps({"root": str(own_home / "elsewhere")}))
    (own_home / "elsewhere/lightning/digits").mkdir(parents=True)
    assert facts("delete", "digits", "--yes")[0]["kept"] == {
        str(tracker): f"it is of the run in {own_home}/elsewhere"
    }
    assert (tracker / "log.jsonl").exists()


def test_a_file_that_may_not_be_read_hides_no_other_run_and_the_run_is_deleted_all_the_same(folder):
    (folder / "run.json").chmod(0)
    listed = without_rights("runs")
    assert (listed.returncode, "other" in listed.stdout) == (0, True)
    assert "digits cannot be opened: its run.json cannot be read (Permission denied)." in listed.stderr
    assert "cannot be read (Permission denied)" in without_rights("delete", "digits").stdout
    done = without_rights("delete", "digits", "--yes")
    assert done.returncode == 0, done.stderr
    assert not folder.exists()


def test_a_folder_in_the_place_of_the_file(folder):
    (folder / "run.json").unlink()
    (folder / "run.json").mkdir()
    assert "cannot be read (Is a directory)" in cli("delete", "digits").stdout
    cli("delete", "digits", "--yes")
    assert not folder.exists()


def test_a_run_that_has_lost_the_file_is_deleted_by_its_name(folder, own_home):
    (folder / "run.json").unlink()
    rows = len(rows_of("digits"))
    shown = cli("delete", "digits").stdout
    assert "not readable     its run.json is missing, so that where its rows are" in shown
    [told], [done] = facts("delete", "digits"), facts("delete", "digits", "--yes")
    assert {**told, "deleted": True} == done
    assert (done["half_deleted_before"], done["rows"]) == (False, rows)
    assert rows_of("digits") == []
    assert not folder.exists()
    assert not (own_home / "home/.burr/lightning/digits").exists()
    assert Run.open("other").verify().sound


def test_doctor_says_what_to_do_with_one_that_has_lost_the_file(folder):
    (folder / "run.json").unlink()
    told = cli("doctor", code=1).stdout
    assert f"{folder}: its run.json is missing, so its 2 checkpoints belong to no run." in told
    assert "to delete the run: burr-lightning delete digits --project lightning" in told
    assert fit("digits", 4).state["epoch"] == 3
    assert Run.open("digits").verify().sound


def test_a_folder_of_somebody_else_is_no_run_that_has_lost_its_file(own_home):
    mine = own_home / "runs/lightning/mine"
    (mine / "checkpoints").mkdir(parents=True)
    (mine / "checkpoints/last.ckpt").write_text("mine")
    assert "No run matches 'mine'" in cli("delete", "mine", "--yes", code=1).stderr
    assert (mine / "checkpoints/last.ckpt").exists()


def test_rows_out_of_reach_leave_one_that_has_lost_the_file_as_it_was(folder):
    (folder / "run.json").unlink()
    with closing(sqlite3.connect(f"{home(None)}/state.sqlite")) as rows:
        rows.execute("CREATE TRIGGER no BEFORE DELETE ON burr_state BEGIN SELECT RAISE(ABORT, 'no'); END")
    cli("delete", "digits", "--yes", code=1)
    assert [name for name in ("run.json", "deleted.json") if (folder / name).exists()] == []
    assert fit("digits", 4).state["epoch"] == 3


@pytest.mark.parametrize("left", ["torn", "nothing"])
def test_a_kill_at_any_touch_leaves_what_the_same_command_removes(folder, own_home, left):
    if left == "nothing":
        (folder / "run.json").unlink()
    kept = own_home / "kept"
    for name in ("runs", "home"):
        shutil.copytree(own_home / name, kept / name)
    points = []
    for point in range(1, 200):
        child = Child(deleted.delete, "digits", own_home, point)
        *_, last = child.rest()
        child.ended()
        if last[0] == "done":
            assert last[1] == 0, last[2]
            break
        points.append(last[1])
        if (folder / "deleted.json").exists():
            assert "digits is deleted in part" in cli("runs").stderr
            assert "it is deleted in part; to end that: burr-lightning" in cli("doctor", code=1).stdout
        assert cli("delete", "digits", "--yes").exit_code == 0
        assert not folder.exists()
        assert rows_of("digits") == []
        assert Run.open("other").verify().sound
        for name in ("runs", "home"):
            shutil.rmtree(own_home / name)
            os.rename(shutil.copytree(kept / name, own_home / "copy"), own_home / name)
    assert len(points) > 10
