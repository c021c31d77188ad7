"""What Burr's local tracker keeps of a run, whatever a kill left of it and whatever is written in it."""

import json
import shutil
from pathlib import Path

import pytest
from burr.tracking import LocalTrackingClient
from click.testing import CliRunner

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.cli import main
from burr_lightning.cli.following import FollowedRun
from burr_lightning.desk.burr_pages import burr_address
from burr_lightning.desk.store import RunStore
from burr_lightning.layout import RunFolder
from burr_lightning.testing import ScriptedModule, scripted_loader
from burr_lightning.tracked import spawned_again


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


@pytest.fixture
def two_roots(make_trainer, own_home):
    """The run ``a`` in one root, and after it a longer one of that name in another; both folders."""
    roots = own_home / "runs", own_home / "other"
    for root, epochs in zip(roots, (2, 5), strict=True):
        fit(make_trainer, max_epochs=epochs, root_dir=root)
    return roots


def epochs_of(root):
    return {step.epoch for step in Run.open("a", root_dir=root).path if step.epoch is not None}


def said(command, *arguments, code=0):
    done = CliRunner().invoke(main, [command, "a", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def test_a_run_whose_place_was_taken_shows_its_own_steps(two_roots):
    mine, other = two_roots
    assert (epochs_of(mine), epochs_of(other)) == ({0, 1}, {0, 1, 2, 3, 4})
    assert "6 steps" in said("show", "--root-dir", mine)
    steps = FollowedRun(Run.open("a", root_dir=mine), None).look().steps
    assert [step.step.sequence_id for step in steps] == list(range(6))
    assert "train_epoch" in said("graph", "--root-dir", mine)


def test_each_page_leads_to_its_own_steps_in_burrs(two_roots):
    at = {
        root: burr_address(folder := RunFolder(root, "lightning", "a"), folder.info()) for root in two_roots
    }
    [kept] = folder_of("a").parent.glob("a-until-*")
    mine, other = two_roots
    assert at[mine].endswith(f"/project/lightning/lightning/{kept.name}")
    assert at[other].endswith("/project/lightning/lightning/a")


def test_a_page_is_not_told_of_the_steps_of_a_run_that_has_its_place(two_roots):
    mine, _ = (RunStore(root) for root in two_roots)
    run = mine.one("lightning", "a")
    before = mine.signature(run)
    with open(folder_of("a") / "log.jsonl", "a") as log:
        log.write("\n")
    assert mine.signature(run) == before


def test_pruning_leaves_the_steps_of_a_run_whose_place_was_taken(two_roots):
    said("prune", "--yes", "--root-dir", two_roots[0])
    assert epochs_of(two_roots[0]) == {0, 1}


def test_where_nothing_was_kept_it_is_said_who_has_taken_the_place(two_roots):
    mine, other = two_roots
    [kept] = folder_of("a").parent.glob("a-until-*")
    shutil.rmtree(kept)
    why = f"its place in Burr's local tracker was taken by the run of the same name in {other}"
    assert f"–({why})".replace(" ", "") in "".join(said("show", "--root-dir", mine).split())
    assert why in said("graph", "--root-dir", mine, code=1)
    assert epochs_of(mine) == set()


def test_an_earlier_run_of_the_name_is_not_taken_for_the_run_itself(make_trainer, two_roots):
    mine, other = two_roots
    shutil.rmtree(mine)
    fit(make_trainer, max_epochs=1)
    fit(make_trainer, max_epochs=6, root_dir=other)
    assert (epochs_of(mine), epochs_of(other)) == ({0}, {0, 1, 2, 3, 4, 5})


def test_runs_of_two_roots_that_are_trained_in_turn_have_all_of_their_steps(make_trainer, two_roots):
    mine, other = two_roots
    fit(make_trainer, max_epochs=3, root_dir=mine)
    fit(make_trainer, max_epochs=6, root_dir=other)
    fit(make_trainer, max_epochs=4, root_dir=mine)
    assert (epochs_of(mine), epochs_of(other)) == ({0, 1, 2, 3}, {0, 1, 2, 3, 4, 5})
    assert len(list(folder_of("a").parent.glob("a-until-*"))) == 1


def test_a_copy_of_a_root_shows_the_steps_of_the_run_that_it_is_a_copy_of(make_trainer, own_home):
    fit(make_trainer, max_epochs=2)
    shutil.copytree(own_home / "runs", own_home / "copy")
    assert epochs_of(own_home / "copy") == {0, 1}


def test_a_fork_is_no_child_of_a_run_of_its_parents_name_in_another_root(make_trainer, two_roots):
    Run.open("a", root_dir=two_roots[0]).fork(run_id="fork")
    fit(make_trainer, max_epochs=3, run_id="fork")
    assert not (folder_of("a") / "children.jsonl").exists()


def fit_trial(make_trainer):
    """A run of which the tracker says that step 1 of a study has launched it; its metadata."""
    fit(make_trainer, max_epochs=1)
    metadata = folder_of("a") / "metadata.json"
    pointer = {"type": "pointer_data", "app_id": "study", "sequence_id": 1, "partition_key": "lightning"}
    stored = {**json.loads(metadata.read_text()), "spawning_parent_pointer": pointer}
    metadata.write_text(json.dumps(stored))
    return metadata


def test_a_trial_is_a_child_of_each_step_that_launched_it_and_knows_the_newest(make_trainer):
    metadata = fit_trial(make_trainer)
    before = json.loads(metadata.read_text())["spawning_parent_pointer"]
    folder_of("study").mkdir()
    for step in (1, 4, 4, 9):
        spawned_again(folder_of("a"), {"run_id": "study", "sequence_id": step})
    assert json.loads(metadata.read_text())["spawning_parent_pointer"] == {**before, "sequence_id": 9}
    lines = (folder_of("study") / "children.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [(entry["sequence_id"], entry["child"]["app_id"]) for entry in entries] == [(4, "a"), (9, "a")]


def test_a_study_that_is_not_tracked_gets_no_folder(make_trainer):
    fit_trial(make_trainer)
    spawned_again(folder_of("a"), {"run_id": "study", "sequence_id": 4})
    assert not folder_of("study").exists()
