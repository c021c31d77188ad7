"""`burr-lightning delete`: what goes with a run and what does not, who is in the way, and kills half way."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import deleted
import pytest
from at_work import DEADLINE
from burr.core.persistence import SQLitePersister
from click.testing import CliRunner
from forks import Child
from read_only import cli as without_rights
from read_only import read_only
from servers import PASSWORD, rows_of, stored_rows
from touches import at_first_touch
from trains_beside import LOSSES, fit, goes_on, training

from burr_lightning import Run, list_runs
from burr_lightning.cli import main
from burr_lightning.errors import HalfDeletedError, NotDeletedError
from burr_lightning.layout import home
from burr_lightning.locks import RunLock, holder
from burr_lightning.persisters import PersisterUrl
from burr_lightning.persisters.deleting import count_rows, delete_rows
from burr_lightning.scheduling.submitting import cancel
from burr_lightning.scheduling.submitting import submit as put_into_queue
from burr_lightning.storage.deleting import delete
from burr_lightning.storage.doomed import doomed, found


def cli(*arguments, command="delete"):
    return CliRunner().invoke(main, [command, *map(str, arguments)])


def facts(*arguments, code=0):
    done = cli(*arguments, "--json")
    assert done.exit_code == code, done.output + repr(done.exception)
    return json.loads(done.stdout)


def everything(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.fixture
def run():
    return fit("digits", 3).run


@pytest.fixture
def tracker(own_home):
    return own_home / "home/.burr/lightning/digits"


class TestWhatGoes:
    def test_it_is_shown_first_and_goes_with_yes(self, run, own_home, tracker):
        fit("other", 2)
        before = everything(own_home)
        shown = cli("digits")
        assert shown.exit_code == 0, shown.output
        assert str(run.folder) in shown.stdout
        assert f"{len(rows_of('digits'))} in {own_home}/runs/state.sqlite" in shown.stdout
        assert str(tracker) in shown.stdout
        assert shown.stdout.endswith("Nothing was deleted: --yes deletes it.\n")
        assert everything(own_home) == before

        [told], [done] = facts("digits"), facts("digits", "--yes")
        assert {**told, "deleted": True} == done
        gone = [path for path in before if path.is_relative_to(run.folder) or path.is_relative_to(tracker)]
        assert done["files"] == len(gone)
        assert done["bytes"] == sum(len(before[path]) for path in gone)
        assert not run.folder.exists()
        assert not tracker.exists()
        assert rows_of("digits") == []
        left = everything(own_home)
        assert {path for path in before if path not in left} == set(gone)
        assert [other.run_id for other in list_runs()] == ["other"]
        assert Run.open("other").verify().sound

    def test_the_name_is_free_afterwards(self, run):
        facts("digits", "--yes")
        again = fit("digits", 2)
        assert list(again.history["val_loss"]) == LOSSES[:2]
        assert again.run.verify().sound

    def test_given_twice_it_takes_no_other_run_of_that_beginning(self, run):
        fit("digits-2", 1)
        facts("digits", "--yes")
        again = cli("digits", "--yes")
        assert again.exit_code == 1
        assert "'digits' is the beginning of 'digits-2', and --yes takes whole names" in again.stderr
        assert [each.run_id for each in list_runs()] == ["digits-2"]

    def test_several_and_each_once(self, run):
        fit("other", 1)
        assert [done["run_id"] for done in facts("digits", "other", "digits", "--yes")] == ["digits", "other"]
        assert list_runs() == []

    def test_if_one_cannot_go_none_does(self, run):
        assert cli("digits", "nothing", "--yes").exit_code == 1
        assert Run.open("digits").verify().sound

    def test_its_forks_stay_whole(self, run):
        run.fork(epoch=1, run_id="fork")
        [told] = facts("digits")
        assert told["forks"] == ["fork"]
        assert "fork: they stay, whole without it" in cli("digits").stdout
        places = [run.folder, *told["trackers"]]
        size = sum(len(content) for place in places for content in everything(place).values())
        shared = [path for path in run.folder.glob("checkpoints/*") if path.stat().st_nlink == 2]
        assert size - told["bytes"] == sum(path.stat().st_size for path in shared) > 0
        facts("digits", "--yes")
        assert fit("fork", 4).state["epoch"] == 3
        assert Run.open("fork").verify().sound
        assert "fork" in cli("--tree", command="runs").stdout

    def test_what_it_shares_with_a_fork_is_freed_where_both_go(self, run, own_home):
        run.fork(epoch=1, run_id="fork")
        places = [own_home / "runs/lightning", own_home / "home/.burr/lightning"]
        files = [path for place in places for path in place.rglob("*") if path.is_file()]
        size = sum({path.stat().st_ino: path.stat().st_size for path in files}.values())
        told = facts("digits", "fork")
        assert sum(one["bytes"] for one in told) == size
        assert facts("digits", "fork", "--yes") == [{**one, "deleted": True} for one in told]

    def test_where_one_cannot_go_it_is_told_which_have_gone(self, run, own_home):
        fit("locked", 1)
        with read_only(own_home / "runs/lightning/locked"):
            done = without_rights("delete", "digits", "locked", "--yes", "--json")
        assert done.returncode == 1
        assert "Permission denied" in done.stderr
        told = json.loads(done.stdout)
        assert [(one["run_id"], one["deleted"]) for one in told] == [("digits", True), ("locked", False)]
        assert [run.run_id for run in list_runs()] == ["locked"]

    def test_a_link_in_its_folder_goes_and_what_it_leads_to_stays(self, run, own_home):
        mine = own_home / "mine"
        mine.mkdir()
        (mine / "data").write_text("mine")
        (run.folder / "link").symlink_to(mine)
        facts("digits", "--yes")
        assert not run.folder.exists()
        assert (mine / "data").read_text() == "mine"


class TestTracker:
    def test_that_of_another_root_stays_and_is_named(self, run, own_home, tracker):
        # Of the same name, from another root: it has taken the tracker's folder over.
        fit("digits", 2, root_dir=own_home / "elsewhere")
        [told] = facts("digits", "--yes")
        assert told["kept"] == {str(tracker): f"it is of the run in {own_home}/elsewhere"}
        assert (tracker / "log.jsonl").exists()
        assert len(Run.open("digits", root_dir=own_home / "elsewhere").path) > 0
        set_aside = [path for path in tracker.parent.iterdir() if path.name.startswith("digits-until")]
        assert set_aside == []  # that was this run's

    def test_one_that_does_not_say_whose_it_is_stays(self, run, tracker):
        (tracker / "burr_lightning.json").unlink()
        done = cli("digits", "--yes")
        assert f"{tracker}, for it does not say whose it is" in done.stdout
        assert (tracker / "log.jsonl").exists()
        assert not run.folder.exists()

    def test_an_untracked_run(self):
        run = fit("bare", 1, tracker=False).run
        assert facts("bare", "--yes")[0]["trackers"] == []
        assert not run.folder.exists()


class TestRows:
    @pytest.fixture(params=["sqlite", "postgresql", "redis", "mongodb", "mongodb_stand_in"])
    def url(self, request, tmp_path):
        if request.param == "sqlite":
            return f"sqlite:///{tmp_path}/rows.db"
        return request.getfixturevalue(request.param).url

    def test_those_of_every_store_go_and_no_others(self, url, request):
        name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)
        for run_id in (name, f"{name}-2"):
            fit(run_id, 2, persister=url)
        others = sorted(stored_rows(url, f"{name}-2"))
        password = ["--persister", url]
        [told] = facts(name, *password)
        assert told["rows"] == len(stored_rows(url, name)) > 0
        assert told["store"].endswith("rows.db") or PASSWORD not in told["store"]
        facts(name, "--yes", *password)
        assert stored_rows(url, name) == []
        assert sorted(stored_rows(url, f"{name}-2")) == others
        assert fit(name, 1, persister=url).run.verify().sound
        where = PersisterUrl.parse(url)
        delete_rows(where, "lightning", name)
        delete_rows(where, "lightning", name)
        assert count_rows(where, "lightning", name) == 0

    def test_a_row_of_burrs_own_that_was_cut_off_goes_too(self, redis):
        from redis import Redis

        fit("cut", 2, persister=redis.url)
        with Redis.from_url(redis.url) as client:
            newest = int(client.zscore("lightning", "cut"))
            client.hset(f"lightning:cut:{newest + 1}", "state", "{}")
            facts("cut", "--yes", "--persister", redis.url)
            assert client.zscore("lightning", "cut") is None
        assert stored_rows(redis.url, "cut") == []

    def test_a_url_for_other_runs_is_not_where_these_are(self, run, own_home):
        facts("digits", "--yes", "--persister", f"sqlite:///{own_home}/elsewhere.db")
        assert rows_of("digits") == []
        assert not (own_home / "elsewhere.db").exists()

    def test_a_persister_that_the_script_opened_is_out_of_reach(self, own_home):
        persister = SQLitePersister.from_values(db_path=str(own_home / "mine.db"))
        persister.initialize()
        run = fit("mine", 2, persister=persister).run
        persister.cleanup()
        before = everything(run.folder)
        refused = cli("mine", "--yes")
        assert refused.exit_code == 1
        assert "a SQLitePersister that its script opened" in refused.stderr
        assert "partition key 'lightning' and app id 'mine'" in refused.stderr
        assert "--keep-rows" in refused.stderr
        assert everything(run.folder) == before
        kept = stored_rows(f"sqlite:///{own_home}/mine.db", "mine")
        assert "rows             stay where they are" in cli("mine", "--yes", "--keep-rows").stdout
        assert not run.folder.exists()
        assert stored_rows(f"sqlite:///{own_home}/mine.db", "mine") == kept != []

    def test_a_server_that_is_not_there(self, postgresql, monkeypatch):
        run = fit("far", 2, persister=postgresql.url).run
        before = everything(run.folder)
        wrong = postgresql.url.replace(PASSWORD, "wrong-password")
        monkeypatch.setenv("PGPASSWORD", "another-wrong-one")
        for options in ([], ["--persister", wrong]):
            refused = cli("far", "--yes", *options)
            assert refused.exit_code == 1
            assert "password is given with --persister" in refused.stderr
            assert "wrong-password" not in refused.output
        assert everything(run.folder) == before
        facts("far", "--yes", "--persister", postgresql.url)
        assert stored_rows(postgresql.url, "far") == []

    def test_a_database_that_is_damaged_or_gone(self, run, own_home):
        database = own_home / "runs/state.sqlite"
        whole = database.read_bytes()
        database.write_bytes(b"no database " * 1000)
        refused = cli("digits", "--yes")
        assert refused.exit_code == 1
        assert "file is not a database" in refused.stderr
        database.write_bytes(whole)
        assert Run.open("digits").verify().sound
        database.unlink()  # with nothing to delete in it, it is not made again
        assert facts("digits", "--yes")[0]["rows"] == 0
        assert not database.exists()

    def test_a_broken_row_goes_with_the_others(self, run):
        with closing(sqlite3.connect("runs/state.sqlite")) as rows, rows:
            rows.execute("UPDATE burr_state SET state = '{'")
        facts("digits", "--yes")
        assert rows_of("digits") == []
        assert not run.folder.exists()


class TestWhoIsInTheWay:
    def test_a_process_that_trains_it(self):
        with training("live") as child:
            for words in (["live"], ["live", "--yes"]):
                refused = cli(*words)
                assert refused.exit_code == 1
                assert "Run 'live' was not deleted: it is being trained by" in refused.stderr
                assert f"process {child.pid} on" in refused.stderr
                assert "Wait for it, or stop it." in refused.stderr
            assert goes_on(child) == 0
        assert Run.open("live").verify().sound
        facts("live", "--yes")
        assert list_runs() == []

    def test_one_that_began_after_it_was_looked_at(self, run):
        seen = doomed(*found("digits", home(None), None), None, keep_rows=False)
        says = "is being trained by process"
        with RunLock(seen.folder.lock, "digits"), pytest.raises(NotDeletedError, match=says):
            delete(seen)
        assert Run.open("digits").verify().sound

    def test_another_command_that_deletes_it(self, run):
        seen = doomed(*found("digits", home(None), None), None, keep_rows=False)
        with RunLock(seen.folder.lock, "digits", quiet=True):
            seen.folder.begin_to_delete()
            with pytest.raises(NotDeletedError, match="another command is deleting it"):
                delete(seen)
        delete(seen)
        assert not run.folder.exists()

    def test_a_job_that_is_to_start_it(self, run):
        put_into_queue([sys.executable, "train.py"], home(None), run_id="digits")
        assert cli("digits").exit_code == 1
        refused = cli("digits", "--yes")
        assert refused.exit_code == 1
        assert "the job 'digits' of the queue is queued (it was not started yet)" in refused.stderr
        assert "burr-lightning cancel digits" in refused.stderr
        assert Run.open("digits").verify().sound
        cancel("digits", home(None))
        facts("digits", "--yes")
        assert list_runs() == []

    def test_a_job_that_is_over_does_not(self, run):
        folder = put_into_queue([sys.executable, "-c", "pass"], home(None), run_id="digits")
        assert cli("--once", command="work").exit_code == 0
        assert folder.is_over()
        facts("digits", "--yes")
        assert folder.is_whole()

    def test_a_job_of_another_run_does_not(self, run):
        put_into_queue([sys.executable, "train.py"], home(None), run_id="another")
        facts("digits", "--yes")
        assert list_runs() == []


class TestCutOff:
    def test_a_kill_at_any_touch_leaves_a_whole_run_or_a_rest_that_the_same_command_removes(
        self, run, own_home, tracker
    ):
        fit("other", 1)
        kept = own_home / "kept"
        for name in ("runs", "home"):
            shutil.copytree(own_home / name, kept / name)
        points, listed = [], []
        for point in range(1, 200):
            child = Child(deleted.delete, "digits", own_home, point)
            *_, last = child.rest()
            child.ended()
            if last[0] == "done":
                assert last[1] == 0, last[2]
                break
            points.append(last[1])
            listed.append("digits" in {found.run_id for found in list_runs()})
            if listed[-1]:
                assert Run.open("digits").verify().sound
                assert (tracker / "log.jsonl").exists()
            else:
                rest = cli("digits", "--yes")
                assert rest.exit_code == 0, rest.output
                assert not run.folder.exists()
                assert not tracker.exists()
                assert rows_of("digits") == []
            assert Run.open("other").verify().sound
            for name in ("runs", "home"):
                shutil.rmtree(own_home / name)
                shutil.copytree(kept / name, own_home / name)
        assert len(points) > 10
        assert {"os.rename", "os.remove", "os.rmdir"} <= set(points)
        assert listed == sorted(listed, reverse=True)
        assert set(listed) == {True, False}

    @pytest.fixture
    def half_deleted(self, run, own_home):
        """A run whose rows are gone, and its checkpoints are not."""
        points = iter(range(1, 99))
        while rows_of("digits"):
            if (run.folder / "deleted.json").exists():
                (run.folder / "deleted.json").rename(run.folder / "run.json")
            child = Child(deleted.delete, "digits", own_home, next(points))
            child.rest()
            child.ended()
        assert list(run.folder.glob("checkpoints/*"))
        return run

    def test_it_is_told_and_not_gone_on_with(self, half_deleted):
        listed = cli(command="runs")
        assert "digits" not in listed.stdout
        assert "digits is deleted in part. To end that: burr-lightning delete digits" in listed.stderr
        before = everything(half_deleted.folder)
        with pytest.raises(HalfDeletedError, match="burr-lightning delete digits --project lightning"):
            fit("digits", 5)
        assert everything(half_deleted.folder) == before
        assert "it is deleted in part already" in cli("digits").stdout
        [done] = facts("digits", "--yes")
        assert done["half_deleted_before"]
        assert fit("digits", 1).run.verify().sound

    def test_a_fork_does_not_take_its_name(self, half_deleted):
        other = fit("other", 2).run
        with pytest.raises(HalfDeletedError):
            other.fork(epoch=1, run_id="digits")

    def test_an_empty_folder_is_a_rest_too(self, own_home):
        fit("other", 1)
        rest = own_home / "runs/lightning/digits"
        rest.mkdir()
        facts("digits", "--yes")
        assert not rest.exists()


class TestWhoBeginsMeanwhile:
    """A script that starts the run in the instant in which it is deleted begins it anew."""

    @pytest.fixture
    def is_deleted(self, run, own_home):
        def by_another_process():
            child = Child(deleted.delete, "digits", own_home)
            assert child.rest()[-1][:2] == ("done", 0)
            assert child.ended() == 0

        return by_another_process

    def test_before_it_opens_the_lock(self, run, is_deleted):
        with at_first_touch("open", str(run.folder / "lock"), is_deleted):
            again = fit("digits", 2)
        assert list(again.history["val_loss"]) == LOSSES[:2]
        assert again.run.verify().sound

    def test_before_it_has_the_lock(self, run, is_deleted):
        with at_first_touch("fcntl.flock", "", is_deleted):
            again = fit("digits", 2)
        assert list(again.history["val_loss"]) == LOSSES[:2]
        # The lock that it had is the one that others ask for.
        assert f"process {os.getpid()} on" in holder(again.folder / "lock")


class TestReadOnly:
    def test_a_folder_that_cannot_be_written(self, run, own_home):
        before = everything(own_home)
        with read_only(own_home / "runs"):
            assert "Nothing was deleted" in without_rights("delete", "digits").stdout
            refused = without_rights("delete", "digits", "--yes")
        assert refused.returncode == 1
        assert "Permission denied" in refused.stderr
        assert "Make access there and give the same command again" in refused.stderr
        assert everything(own_home) == before

    def test_a_database_that_cannot_be_written_leaves_a_whole_run(self, own_home):
        database = own_home / "elsewhere/rows.db"
        run = fit("far", 2, persister=f"sqlite:///{database}").run
        before = everything(run.folder)
        with read_only(database.parent):
            refused = without_rights("delete", "far", "--yes")
        assert refused.returncode == 1
        assert "cannot be deleted" in refused.stderr
        assert everything(run.folder) == before
        assert Run.open("far").verify().sound
        facts("far", "--yes")
        assert stored_rows(f"sqlite:///{database}", "far") == []

    def test_a_tracker_that_cannot_be_written_is_a_rest(self, run, own_home, tracker):
        with read_only(tracker):
            refused = without_rights("delete", "digits", "--yes")
        assert refused.returncode == 1
        assert "Permission denied" in refused.stderr
        assert list_runs() == []
        facts("digits", "--yes")
        assert not tracker.exists()
        assert not run.folder.exists()


def test_no_such_run_and_an_empty_store(own_home):
    assert "No run matches 'digits'" in cli("digits", "--yes").stderr
    assert not (own_home / "runs").exists()
    fit("other", 1)
    assert "Runs there: lightning/other" in cli("digits", "--yes").stderr
    assert cli("--yes").exit_code == 2
    facts("latest", "--yes")
    assert list_runs() == []


def test_two_commands_at_once(run):
    script = "from burr_lightning.cli import main; main(['delete', 'digits', '--yes'])"
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    both = [subprocess.Popen([sys.executable, "-c", script], text=True, **pipes) for _ in range(2)]
    said = [process.communicate(timeout=DEADLINE)[1] for process in both]
    assert not run.folder.exists()
    assert rows_of("digits") == []
    assert "Traceback" not in "".join(said)
