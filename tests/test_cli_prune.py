"""`burr-lightning prune`: what it would free, and what it frees; the runs can be gone on with."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from read_only import cli as without_rights
from read_only import read_only
from trains_beside import LOSSES, fit, goes_on, training

from burr_lightning import Checkpoints, Run
from burr_lightning.cli import main
from burr_lightning.layout import RunFolder, home
from burr_lightning.locks import holder
from burr_lightning.questions import Answer, Question
from burr_lightning.reviews import Reviews
from burr_lightning.storage.sizes import Freed
from burr_lightning.testing import ScriptedModule

ALL = Checkpoints(keep_last=9)


def cli(*arguments):
    return CliRunner().invoke(main, ["prune", *map(str, arguments)])


def facts(*arguments, code=0):
    done = cli(*arguments, "--json")
    assert done.exit_code == code, done.output + repr(done.exception)
    return json.loads(done.stdout)


def epochs(run):
    return sorted(int(path.name[6:11]) for path in run.folder.glob("checkpoints/*.ckpt"))


def everything(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def run():
    """All five epochs are kept; 1 is the best."""
    return fit("digits", 5, checkpoints=ALL).run


class TestWhatItFrees:
    def test_it_says_so_first_and_does_it_with_yes(self, run, own_home):
        before = everything(own_home / "runs")
        said = cli("digits")
        assert said.exit_code == 0, said.output
        assert [line.split()[-1] for line in said.stdout.splitlines()[1:3]] == ["0", "2"]
        assert "2 files to delete" in said.stdout
        assert "Nothing was deleted: --yes deletes them." in said.stdout
        assert everything(own_home / "runs") == before
        told = facts("digits")
        done = facts("digits", "--yes")
        assert {**told, "deleted": True} == done
        assert epochs(run) == [1, 3, 4]
        freed = sum(map(len, before.values())) - sum(map(len, everything(own_home / "runs").values()))
        assert done["bytes"] == freed > 0
        assert facts("digits")["bytes"] == 0
        assert cli("digits", "--yes").stdout == "There is nothing to free.\n"

    @pytest.mark.parametrize(
        ("options", "left"),
        [
            (["--keep-last", 1], [1, 4]),
            (["--keep-last", 3], [1, 2, 3, 4]),
            (["--keep-last", 1, "--keep-best", 3], [1, 2, 3, 4]),
            (["--keep-last", 9], [0, 1, 2, 3, 4]),
        ],
    )
    def test_how_many_are_kept(self, run, options, left):
        done = facts("digits", *options, "--yes")
        assert epochs(run) == left
        assert len(done["runs"][0]["files"]) == 5 - len(left)

    @pytest.mark.parametrize("option", ["--keep-last", "--keep-best"])
    def test_none_are_not_enough(self, run, option):
        assert cli("digits", option, 0).exit_code == 2

    def test_what_is_left_is_gone_on_with_and_its_best_is_loaded(self, run):
        facts("digits", "--keep-last", 1, "--yes")
        assert run.verify().sound
        assert Run.open("digits").best_checkpoint.exists()
        again = fit("digits", 7)
        assert again.state["epoch"] == 6
        assert list(again.history["val_loss"])[:5] == LOSSES

    def test_a_file_that_a_fork_shares_frees_nothing_until_both_are_pruned(self, run):
        fork = run.fork(epoch=2, run_id="fork")
        shared = sorted(fork.folder.glob("checkpoints/*"))
        assert {path.stat().st_nlink for path in shared} == {2}
        told = facts("digits", "--keep-last", 1)["runs"][0]["files"]
        by_epoch = {file["why"]: file["bytes"] for file in told}
        assert by_epoch["epoch 0"] == by_epoch["epoch 2"] == 0
        assert by_epoch["epoch 3"] > 0
        assert "frees nothing: another run has the same file" in cli("digits", "--keep-last", 1).stdout
        facts("digits", "--keep-last", 1, "--yes")
        assert all(path.exists() for path in shared)
        assert facts("fork", "--keep-last", 1)["bytes"] > 0
        assert fit("fork", 5).state["epoch"] == 4
        assert Run.open("fork").verify().sound

    def test_what_two_runs_share_is_told_as_it_is_freed(self, run, own_home):
        run.fork(epoch=2, run_id="fork")
        inodes = {path.stat().st_ino: path.stat().st_size for path in (own_home / "runs").rglob("*.ckpt")}
        told, done = (facts("digits", "fork", "--keep-last", 1, *yes) for yes in ([], ["--yes"]))
        assert {**told, "deleted": True} == done
        left = {path.stat().st_ino for path in (own_home / "runs").rglob("*.ckpt")}
        assert done["bytes"] == sum(inodes[inode] for inode in inodes.keys() - left) > 0

    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_where_one_cannot_be_gone_through_it_is_told_what_the_others_have_lost(
        self, run, own_home, options
    ):
        fit("locked", 5, checkpoints=ALL)
        with read_only(own_home / "runs/lightning/locked"):
            done = without_rights("prune", "digits", "locked", "--yes", *options)
            first = without_rights("prune", "locked", "--yes")
        assert (done.returncode, first.returncode, first.stdout) == (1, 1, "")
        assert "Permission denied" in done.stderr
        if options:
            [told] = json.loads(done.stdout)["runs"]
            assert (told["run_id"], len(told["files"])) == ("digits", 2)
        else:
            assert "2 files deleted, which freed" in done.stdout

    def test_a_file_of_two_runs_that_are_both_pruned_is_counted_once(self, tmp_path):
        first, second = tmp_path / "a", tmp_path / "b"
        first.write_bytes(b"12345")
        os.link(first, second)
        assert Freed().of(first) == 0
        both = Freed()
        assert (both.of(first), both.of(second)) == (0, 5)
        first.unlink()
        assert Freed().of(second) == 5


class TestLeftovers:
    def test_torn_files_and_what_was_set_aside(self, run, own_home):
        tracker = own_home / "home/.burr/lightning/digits"
        folder = run.folder
        (folder / "reviews").mkdir(exist_ok=True)
        torn = [folder / "checkpoints/.epoch=1.ckpt.tmp", folder / ".partial.json.tmp", folder / "run.tmp"]
        aside = [folder / "reviews/00000003.told.12.aside", tracker / "undone.jsonl"]
        for path in [*torn, *aside]:
            path.write_text("left")
        os.utime(folder / "run.tmp", (0, 0))
        fresh = folder / "reviews/00000009.answer.77-1.tmp"  # somebody may be writing it
        fresh.write_text("being written")
        done = facts("digits", "--keep-last", 9, "--yes")["runs"][0]["files"]
        assert {file["file"] for file in done} == {str(path) for path in [*torn, *aside]}
        assert not any(path.exists() for path in [*torn, *aside])
        assert fresh.exists()
        assert (tracker / "log.jsonl").exists()

    def test_what_was_asked_and_answered_stays_also_where_it_was_set_aside(self, run):
        reviews = Reviews(RunFolder(home(None), "lightning", "digits"))
        for comment in ("first", "second"):
            question = reviews.ask(Question(3, "review", f"The {comment} time?", (), None, 2, 0.0))
            reviews.told(question)
            reviews.answer(question, Answer({}, comment, "maria", "python", 1.0, question.fingerprint))
        reviews.pass_over(question)
        folder = run.folder / "reviews"
        kept = {path: path.read_bytes() for path in folder.iterdir() if ".told." not in path.name}
        assert sorted(path.name.split(".")[1] for path in kept) == ["answer"] * 2 + ["question"] * 2
        assert {path.suffix for path in kept} == {".aside"}
        [done] = facts("digits", "--keep-last", 9, "--yes")["runs"]
        assert [file["why"] for file in done["files"]] == ["set aside: who was told"] * 2
        assert {path: path.read_bytes() for path in folder.iterdir()} == kept

    def test_the_logs_of_earlier_runs_of_its_name_but_of_no_other_run(self, run, own_home):
        logs = own_home / "home/.burr/lightning"
        (own_home / "runs").rename(own_home / "elsewhere")
        fit("digits", 2, root_dir=own_home / "elsewhere2")  # another of the same name sets the log aside
        other_run = "digits-until-20260101-120000-000001"  # a name that looks like one
        fit(other_run, 1)
        fit("digits", 2)
        aside = sorted(path.name for path in logs.iterdir() if path.name.startswith("digits-until-2"))
        aside.remove(other_run)
        assert len(aside) == 2
        owner = logs / aside[1] / "burr_lightning.json"
        owner.write_text(json.dumps({"root": str(own_home / "runs")}))
        other = logs / aside[0] / "burr_lightning.json"
        other.write_text(json.dumps({"root": str(own_home / "elsewhere2")}))
        files = facts("digits", "--yes")["runs"][0]["files"]
        assert {Path(file["file"]).parent.name for file in files} == {aside[1]}
        assert not owner.parent.exists()
        assert other.exists()
        assert (logs / other_run / "log.jsonl").exists()
        emptied = logs / "digits-until-20260101-120000-000002"  # a kill came before the folder itself
        emptied.mkdir()
        not_ours = logs / "digits-until-tomorrow"
        not_ours.mkdir()
        facts("digits", "--yes")
        assert not emptied.exists()
        assert not_ours.exists()


class TestDamage:
    def test_where_the_newest_is_damaged_what_a_resume_would_use_stays(self, run):
        newest = Run.open("digits").last_checkpoint
        for path in run.folder.glob("checkpoints/epoch=0000[34]*"):
            path.write_bytes(path.read_bytes()[:-100])
        facts("digits", "--keep-last", 1, "--yes")
        assert epochs(run) == [1, 2, 4]
        assert newest.exists()
        found = run.verify()
        assert found.resume is not None
        assert found.resume.epoch == 2

    def test_where_none_can_be_used_all_stay(self, run):
        for path in run.folder.glob("checkpoints/*"):
            path.write_bytes(b"torn")
        done = cli("digits", "--yes", "--keep-last", 1)
        assert done.exit_code == 0
        assert "Run digits: its checkpoints stay: no commit of run 'digits' can be used" in done.stderr
        assert epochs(run) == [0, 1, 2, 3, 4]

    def test_a_broken_row(self, run):
        with closing(sqlite3.connect("runs/state.sqlite")) as rows, rows:
            newest = "(SELECT max(sequence_id) FROM burr_state)"
            rows.execute(f"UPDATE burr_state SET state = '{{' WHERE sequence_id = {newest}")
        facts("digits", "--yes", "--keep-last", 1)
        assert epochs(run) == [1, 4]
        assert run.verify().resume is not None

    def test_no_row_that_can_be_read(self, run):
        with closing(sqlite3.connect("runs/state.sqlite")) as rows, rows:
            rows.execute("UPDATE burr_state SET state = '{'")
        done = cli("digits", "--yes", "--keep-last", 1)
        assert done.exit_code == 0
        assert "its checkpoints stay: Run 'digits': the row of step" in done.stderr
        assert epochs(run) == [0, 1, 2, 3, 4]

    def test_a_folder_that_cannot_be_written(self, run, own_home):
        before = everything(own_home / "runs")
        with read_only(own_home / "runs"):
            assert "2 files to delete" in without_rights("prune", "digits").stdout
            done = without_rights("prune", "digits", "--yes")
        assert done.returncode == 1
        assert "Permission denied" in done.stderr
        assert "Make access there and give the same command again" in done.stderr
        assert everything(own_home / "runs") == before
        assert len(facts("digits", "--yes")["runs"][0]["files"]) == 2

    def test_a_kill_at_any_file_leaves_what_the_next_call_ends(self, run):
        script = (
            "import os, signal, sys\n"
            "from itertools import count\n"
            "points = count(1)\n"
            "def hook(event, arguments):\n"
            "    if event == 'os.remove' and '.ckpt' in str(arguments[0]):\n"
            "        next(points) == 2 and os.kill(os.getpid(), signal.SIGKILL)\n"
            "sys.addaudithook(hook)\n"
            "from burr_lightning.cli import main\n"
            "main(['prune', 'digits', '--yes', '--keep-last', '1'])\n"
        )
        done = subprocess.run([sys.executable, "-c", script], check=False)
        assert done.returncode == -signal.SIGKILL
        assert epochs(run) == [1, 2, 3, 4]
        assert run.verify().sound
        facts("digits", "--yes", "--keep-last", 1)
        assert epochs(run) == [1, 4]
        assert run.verify().sound


class TestBesideATraining:
    def test_a_run_that_trains_is_left_out_and_the_others_are_not(self, run):
        with training("live") as child:
            live = Run.open("live")
            kept = epochs(live)
            for words in (["--all-runs"], ["--all-runs", "--yes"]):
                done = cli(*words, "--keep-last", 1)
                assert done.exit_code == 0
                assert (
                    f"Run live: it is left out, for it is being trained by process {child.pid} on"
                    in done.stderr
                )
                assert "digits" in done.stdout
                assert "live" not in done.stdout
            assert epochs(live) == kept
            assert epochs(run) == [1, 4]
            assert goes_on(child) == 0
        assert Run.open("live").status == "finished"
        assert Run.open("live").verify().sound

    def test_the_lock_stays_as_the_queue_reads_it(self, run):
        lock = RunFolder(run.folder.parent.parent, "lightning", "digits").lock
        before = holder(lock), lock.stat().st_mtime_ns
        facts("digits", "--yes")
        assert (holder(lock), lock.stat().st_mtime_ns) == before
        fork = run.fork(epoch=4, run_id="fork")
        facts("fork", "--yes")
        assert not (fork.folder / "lock").exists()


class TestWhichRuns:
    def test_a_project(self, run):
        other = fit("other", 4, project="more", checkpoints=ALL).run
        facts("--all-runs", "--project", "more", "--keep-last", 1, "--yes")
        assert epochs(other) == [1, 3]
        assert epochs(run) == [0, 1, 2, 3, 4]

    def test_a_run_that_is_named_twice_is_one(self, run):
        assert len(facts("digits", "dig", "latest")["runs"]) == 1

    def test_runs_have_to_be_named(self, run):
        assert "Name the runs, or give --all-runs." in cli().stderr
        assert cli("digits", "--all-runs").exit_code == 2

    def test_no_such_run_and_an_empty_store(self, own_home):
        assert "No run matches 'digits'" in cli("digits").stderr
        assert facts("--all-runs") == {"deleted": False, "bytes": 0, "runs": []}
        assert not (own_home / "runs").exists()

    def test_a_run_without_a_commit(self):
        class Fails(ScriptedModule):
            def training_step(self, batch, batch_idx):
                raise RuntimeError("at once")

        with pytest.raises(RuntimeError, match="at once"):
            fit("none", 1, module=Fails(val_loss=[0.5]))
        assert cli("none", "--yes").stdout == "There is nothing to free.\n"


def test_what_was_kept_as_weights_alone_stays_so(own_home):
    keep = Checkpoints(keep_last=9, keep_best=2, save_weights_only_best=True)
    run = fit("light", 5, checkpoints=keep).run
    facts("light", "--keep-last", 1, "--keep-best", 2, "--yes")
    assert run.best_checkpoint.exists()
    assert run.verify().sound
