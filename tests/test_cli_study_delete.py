"""`burr-lightning study delete`: what goes with a study and what stays, who is in the way, and kills."""

import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import deleted
import pytest
from click.testing import CliRunner
from forks import Child
from lightning.pytorch import Trainer
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from population_runs import study as population
from read_only import cli as without_rights
from read_only import read_only
from servers import PASSWORD, rows_of, stored_rows
from trains_beside import fit

from burr_lightning import Run, list_runs
from burr_lightning.cli import main
from burr_lightning.errors import HalfDeletedStudyError, NameTakenError, NotDeletedError
from burr_lightning.layout import RunFolder
from burr_lightning.locks import RunLock
from burr_lightning.testing import ScriptedModule, scripted_loader
from burr_lightning.tuning import Study

LOSSES = [0.5, 0.25, 0.75]
ALL = ["search", "search-0", "search-1", "search-2"]


def cli(*arguments, command=("study", "delete")):
    return CliRunner().invoke(main, [*command, *map(str, arguments)])


def facts(*arguments, code=0):
    done = cli(*arguments, "--json")
    assert done.exit_code == code, done.output + repr(done.exception)
    return json.loads(done.stdout)


def everything(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def train(trial):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=1, callbacks=[trial.callback()], accelerator="cpu", **quiet)
    trainer.fit(ScriptedModule(val_loss=[LOSSES[trial.number]]), scripted_loader(), scripted_loader())


def search(run_id="search", fn=train, **options):
    given = {"monitor": "val_loss", "n_trials": 3, "seed": 1, "executor": ThreadPoolExecutor(1), **options}
    space = {"x": FloatDistribution(0.0, 1.0)}
    return Study(fn, space, sampler=RandomSampler(), run_id=run_id, **given)


FORKS = {"n_trials": 8, "seed": 2}


def best_fork():
    """The best trial of a population, which goes on from another one."""
    best = population("search", **FORKS).run().best
    assert best.parent is not None
    return best


def sizes():
    """The size of each file of all runs and studies, by its inode: hard links are one file."""
    status = [path.stat() for path in Path("runs/lightning").rglob("*") if path.is_file()]
    return {file.st_ino: file.st_size for file in status}


def is_gone(own_home):
    """Nothing of the study is left anywhere."""
    places = [own_home / "runs/lightning", own_home / "home/.burr/lightning"]
    left = [path for place in places for path in place.glob("search*")]
    return left == [] and not any(map(rows_of, ALL))


class TestWhatGoes:
    def test_it_is_shown_first_and_goes_with_yes(self, own_home):
        search().run()
        fit("other", 1)
        before = everything(own_home)
        shown = cli("search")
        assert shown.exit_code == 0, shown.output
        assert "trials' runs     3: search-0, search-1, search-2\n" in shown.stdout
        assert f"{sum(len(rows_of(name)) for name in ALL)} in {own_home}/runs/state.sqlite" in shown.stdout
        assert shown.stdout.endswith("Nothing was deleted: --yes deletes it.\n")
        assert everything(own_home) == before

        told, done = facts("sea"), facts("search", "--yes")
        assert {**told, "deleted": True} == {
            **done,
            "runs": [{**run, "deleted": False} for run in done["runs"]],
        }
        gone = [path for path in before if re.search(r"/lightning/search(-\d)?/", str(path))]
        assert told["files"] + sum(run["files"] for run in told["runs"]) == len(gone)
        assert told["bytes"] == sum(len(before[path]) for path in gone)
        assert all(run["deleted"] for run in done["runs"])
        assert is_gone(own_home)
        assert {path for path in before if path not in everything(own_home)} == set(gone)
        assert Run.open("other").verify().sound

    def test_given_twice_it_takes_no_other_study_of_that_beginning(self):
        search().run()
        search("search-b").run()
        assert cli("search", "--yes").exit_code == 0
        again = cli("search", "--yes")
        assert again.exit_code == 1
        assert "'search' is the beginning of 'search-b', and --yes takes whole names" in again.stderr
        assert len(Study.open("search-b").trials) == 3

    def test_an_emptied_folder_is_meant_before_a_study_of_that_beginning(self, own_home):
        search("search-b").run()
        (own_home / "runs/lightning/search").mkdir()
        assert cli("search", "--yes").exit_code == 0
        assert len(Study.open("search-b").trials) == 3

    def test_one_that_cannot_go_has_its_best_trial_back(self, monkeypatch):
        best = search().run().best.run_id

        def held(trial):
            raise NotDeletedError(trial.folder.run_id, "somebody needs it.")

        with monkeypatch.context() as patch:
            patch.setattr("burr_lightning.tuning.deleting.delete_run", held)
            assert cli("search", "--yes", "--keep-best").exit_code == 1
        assert RunFolder(Path("runs"), "lightning", best).info().study == "search"
        assert len(Study.open("search").trials) == 3

    def test_its_name_is_free_and_begins_anew(self):
        search().run()
        facts("search", "--yes")
        again = search(fn=lambda trial: float(trial.number), n_trials=2).run()
        assert [trial.value for trial in again.trials] == [0.0, 1.0]
        assert [trial.attempts for trial in again.trials] == [1, 1]

    def test_a_run_that_is_none_of_its_trials_stays_and_a_fork_does(self):
        fit("search-7", 1)
        search().run()
        Run.open("search-1").fork(epoch=0, run_id="mine")
        told = facts("search")
        assert told["forks"] == ["mine"]
        assert "mine: they stay, whole without it" in cli("search").stdout
        facts("search", "--yes")
        assert {run.run_id for run in list_runs()} == {"search-7", "mine"}
        assert all(run.verify().sound for run in list_runs())
        assert fit("mine", 2).state["epoch"] == 1

    def test_of_a_server(self, postgresql):
        password = ["--persister", postgresql.url]
        for name in ("search", "another"):
            search(name, persister=postgresql.url).run()
        others = sorted(stored_rows(postgresql.url, "another-1"))
        told = facts("search", "--yes", *password)
        assert PASSWORD not in json.dumps(told)
        assert told["rows"] > 0
        assert [stored_rows(postgresql.url, name) for name in ALL] == [[]] * 4
        assert sorted(stored_rows(postgresql.url, "another-1")) == others != []
        facts("another", "--yes", *password)

    def test_a_server_that_is_not_there_leaves_all_of_it(self, postgresql, monkeypatch):
        search(persister=postgresql.url).run()
        Run.open("search-1", persister=postgresql.url).fork(epoch=0, run_id="search-9")
        before = everything("runs")
        monkeypatch.setenv("PGPASSWORD", "a-wrong-one")
        wrong = postgresql.url.replace(PASSWORD, "wrong-password")
        refused = cli("search", "--yes", "--persister", wrong)
        assert refused.exit_code == 1
        assert "Study 'search': its rows in " in refused.stderr
        assert "wrong-password" not in refused.output
        assert everything("runs") == before
        told = facts("search", "--yes", "--keep-rows")
        assert told["unreadable"] is not None
        assert [run["run_id"] for run in told["runs"]] == ALL[1:]
        assert [run.run_id for run in list_runs()] == ["search-9"]  # a fork is no trial, whatever its name is

    def test_files_that_are_torn(self, own_home):
        search().run()
        (own_home / "runs/lightning/search/study.json").write_text("{")
        (own_home / "runs/lightning/search-1/run.json").write_text("{")
        facts("search", "--yes")
        assert is_gone(own_home)


class TestKeepBest:
    def test_the_best_run_stays_and_is_one_of_its_own(self, own_home):
        search().run()
        before = everything("runs/lightning/search-1")
        assert "search-1, the run of the best trial" in cli("search", "--keep-best").stdout
        told = facts("search", "--yes", "--keep-best")
        assert told["kept_runs"] == ["search-1"]
        assert [run.run_id for run in list_runs()] == ["search-1"]
        kept = everything("runs/lightning/search-1")
        assert {path for path in before if kept.get(path) != before[path]} == {
            Path("runs/lightning/search-1/run.json")
        }
        assert Run.open("search-1").verify().sound
        assert facts_of_run("search-1")["study"] is None
        with pytest.raises(NameTakenError, match=r"trial 1, run_id='search-1'"):
            search().run()

    def test_of_a_population_it_stays_whole_without_those_it_was_forked_from(self):
        best = best_fork()
        before, written_anew = sizes(), Path(f"runs/lightning/{best.run_id}/run.json").stat().st_ino
        told = facts("search", "--yes", "--keep-best")
        gone = before.keys() - sizes().keys() - {written_anew}
        assert told["bytes"] == sum(before[file] for file in gone)
        assert told["forks"] == []
        assert len(told["runs"]) == 7
        assert [run.run_id for run in list_runs()] == [best.run_id]
        assert Run.open(best.run_id).verify().sound

    def test_a_new_study_does_not_take_it_for_one_of_its_forks(self):
        best = best_fork()
        facts("search", "--yes", "--keep-best")
        with pytest.raises(NameTakenError, match=f"run_id='{best.run_id}'"):
            population("search", **FORKS).run()

    def test_without_a_best_one_nothing_goes(self, own_home):
        search(fn=lambda trial: 1.0, monitor=None).run()
        refused = cli("search", "--yes", "--keep-best")
        assert refused.exit_code == 1
        assert "the best trial, 0, has no run, so none can be kept. Leave --keep-best out." in refused.stderr
        assert (own_home / "runs/lightning/search/study.json").exists()


def facts_of_run(run_id):
    return json.loads(Path(f"runs/lightning/{run_id}/run.json").read_text())


class TestWhoIsInTheWay:
    @pytest.mark.parametrize(
        ("lock", "says"),
        [
            ("search/lock", "it is being run by process"),
            ("search/outcomes/1.lock", "its trial 1 is being run by process"),
            ("search-1/lock", "its run 'search-1': it is being trained by process"),
        ],
    )
    def test_a_process_that_has_it_or_a_trial(self, own_home, lock, says):
        search().run()
        before = everything("home") | everything("runs/lightning/search-2")
        with RunLock(own_home / "runs/lightning" / lock, "search"):
            for words in (["search"], ["search", "--yes"]):
                refused = cli(*words)
                assert refused.exit_code == 1
                assert f"Study 'search' was not deleted: {says} {os.getpid()} on" in refused.stderr
                assert "Wait for it, or stop it." in refused.stderr
        assert everything("home") | everything("runs/lightning/search-2") == before
        facts("search", "--yes")
        assert is_gone(own_home)

    def test_a_folder_that_cannot_be_written_leaves_a_study(self, own_home):
        search().run()
        with read_only(own_home / "runs/lightning/search-0"):
            refused = without_rights("study", "delete", "search", "--yes")
        assert refused.returncode == 1
        assert "Permission denied" in refused.stderr
        assert Study.open("search").best.number == 1
        assert len(list_runs()) == 3


class TestTakenForARun:
    @pytest.mark.parametrize("n_trials", [1, 2])
    def test_delete_points_to_it(self, n_trials):
        search(n_trials=n_trials).run()
        refused = cli("search", "--yes", command=["delete"])
        assert refused.exit_code == 1
        assert "is a study, and no run" in refused.stderr
        assert "burr-lightning study delete search --project lightning --root-dir" in refused.stderr
        assert len(list_runs()) == n_trials

    def test_an_unknown_one(self):
        fit("digits", 1)
        assert "No study matches 'digits'" in cli("digits", "--yes").stderr


class TestCutOff:
    @pytest.mark.parametrize("options", [(), pytest.param(("--keep-best",), marks=pytest.mark.long)])
    def test_a_kill_at_any_touch_leaves_what_the_same_command_removes(self, own_home, options):
        search(n_trials=2, tracker=bool(options)).run()
        (own_home / "home").mkdir(exist_ok=True)
        kept = own_home / "kept"
        for name in ("runs", "home"):
            shutil.copytree(own_home / name, kept / name)
        stays = ["search-1"] if options else []
        points, listed = [], []
        for point in range(1, 300):
            child = Child(deleted.delete, "search", own_home, point, ("study", "delete", *options))
            *_, last = child.rest()
            child.ended()
            if last[0] == "done":
                assert last[1] == 0, last[2]
                break
            points.append(last[1])
            listed.append((own_home / "runs/lightning/search/study.json").exists())
            if listed[-1]:
                assert len(list_runs()) == 2
            told = facts("search", "--yes", *options)
            assert told["half_deleted_before"] is not listed[-1]
            assert [run.run_id for run in list_runs()] == stays
            assert all(run.verify().sound for run in list_runs())
            assert is_gone(own_home) or stays
            assert not (own_home / "runs/lightning/search").exists()
            assert rows_of("search") == rows_of("search-0") == []
            for name in ("runs", "home"):
                shutil.rmtree(own_home / name)
                shutil.copytree(kept / name, own_home / name)
        assert len(points) > 20
        assert {"os.rename", "os.remove", "os.rmdir"} <= set(points)
        assert listed == sorted(listed, reverse=True)
        assert set(listed) == {True, False}

    def test_a_rest_is_told_and_not_gone_on_with(self, own_home):
        search().run()
        folder = own_home / "runs/lightning/search"
        (folder / "study.json").rename(folder / "deleted-study.json")
        before = everything(own_home)
        for begins in (search().run, lambda: fit("search", 1)):
            with pytest.raises(HalfDeletedStudyError, match="burr-lightning study delete search --project"):
                begins()
        assert everything(own_home) == before
        listed = cli(command=["study", "list"])
        assert "search is deleted in part. To end that: burr-lightning study delete search" in listed.stderr
        assert "this study is deleted in part; to end that: burr-lightning study delete search" in (
            " ".join(cli(command=["doctor"]).stdout.split())
        )
        assert "study delete search" in cli("search", command=["delete"]).stderr
        assert "it is deleted in part already" in cli("search").stdout
        facts("search", "--yes")
        assert is_gone(own_home)


def test_a_study_is_no_orphan():
    search(n_trials=1).run()
    done = cli(command=["doctor"])
    assert (done.exit_code, "run.json is missing" in done.stdout) == (0, False)
