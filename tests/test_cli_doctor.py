"""`burr-lightning doctor`, on stores that are well, damaged, littered, read-only and in use."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
from at_work import CLI, submit
from click.testing import CliRunner
from stepped import CAN_MOUNT, SteppedTraining, where_it_is_read_only

from burr_lightning import BurrCallback, Checkpoints, Run, __version__
from burr_lightning.cli import main
from burr_lightning.testing import ScriptedModule, scripted_loader


@pytest.fixture
def fit(make_trainer):
    def train(run_id="a", epochs=2, **options):
        burr = BurrCallback(run_id, **{"monitor": "val_loss", **options})
        module = ScriptedModule(val_loss=[0.5, 0.25, 0.75])
        make_trainer(burr, max_epochs=epochs).fit(module, scripted_loader(), scripted_loader())
        return burr.run

    return train


@pytest.fixture
def root(own_home):
    return own_home / "runs"


def doctor(code=0):
    """All findings, by section; the exit code must be that one."""
    done = CliRunner().invoke(main, ["doctor", "--json"])
    assert done.exit_code == code, done.output + repr(done.exception)
    facts = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert facts["sound"] == (code == 0)
    found = {}
    for finding in facts["findings"]:
        found.setdefault(finding["section"], []).append((finding["level"], finding["text"]))
    return found, facts


def problems(code=1):
    found, _ = doctor(code)
    return [text for findings in found.values() for level, text in findings if level == "problem"]


def notes(code=0):
    found, _ = doctor(code)
    return [text for findings in found.values() for level, text in findings if level == "note"]


def old(path):
    """A file as it was left long ago."""
    path.write_text("torn")
    os.utime(path, (time.time() - 5000,) * 2)
    return path


class TestAllIsWell:
    def test_it_says_what_there_is(self, fit, root):
        fit()
        found, facts = doctor()
        assert found["storage"][0][1].startswith(f"{root} on ")
        assert "1 run, " in found["storage"][0][1]
        assert found["permissions"] == [("fine", "all that is there can be read and written")]
        assert found["rows"][0][1].endswith("4 rows, and to SQLite it is in order")
        assert found["locks"] == [("fine", "1 lock file is free; they stay, and keep nobody out")]
        assert "orphans" not in found
        assert facts["versions"]["burr-lightning"] == __version__
        assert facts["versions"]["torch"] == version("torch")
        assert facts["extras"]["cli"] is True

    def test_nothing_is_changed(self, fit, own_home):
        fit()
        before = everything_in(own_home)
        doctor()
        assert everything_in(own_home) == before

    def test_for_people(self, fit):
        fit()
        done = CliRunner().invoke(main, ["doctor"], env={"COLUMNS": "80"})
        lines = done.stdout.splitlines()
        assert lines[0].startswith("versions         python ")
        assert lines[-1] == "in all           no problem was found"
        assert max(map(len, lines)) <= 80

    def test_where_no_run_is_yet(self, root):
        found, _ = doctor()
        assert found["storage"] == [("note", f"{root} is not there yet; the first run makes it")]
        assert not root.exists()

    def test_of_an_empty_store(self, root):
        root.mkdir()
        found, _ = doctor()
        assert "0 runs, 0 B" in found["storage"][0][1]

    def test_torch_is_not_imported(self, fit):
        fit()
        code = (
            "import sys\nfrom burr_lightning.cli import main\ntry:\n    main(['doctor'])\n"
            "finally:\n    print('imported:', *{'torch', 'lightning'} & {*sys.modules}, file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "imported:\n")

    def test_forks_inside_commits_and_weights_are_no_orphans(self, fit):
        keep = Checkpoints(keep_last=5, save_weights_only_best=True)
        fit(epochs=4, checkpoints=keep)
        Run.open("a").fork(3, "b")
        fit("b", epochs=5, checkpoints=keep)
        assert "orphans" not in doctor()[0]

    def test_while_one_trains(self):
        with SteppedTraining("a", 4) as training:
            training.go_to(1, 2)
            found, _ = doctor()
            [(level, text)] = found["locks"]
        assert level == "note"
        assert text.startswith(f"the run a is held by process {training.pid} on ")

    def test_the_lock_of_a_killed_process_is_harmless(self):
        with SteppedTraining("a", 4) as training:
            training.go_to(1, 2)
            training.kill()
        assert doctor()[0]["locks"] == [("fine", "1 lock file is free; they stay, and keep nobody out")]


def everything_in(folder):
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


class TestProblems:
    def test_a_database_that_is_damaged(self, fit, root):
        fit()
        path = root / "state.sqlite"
        data = bytearray(path.read_bytes())
        data[4096 : 4096 + 2000] = os.urandom(2000)
        path.write_bytes(bytes(data))
        found = problems()
        assert any(str(path) in text for text in found)

    def test_a_file_that_is_no_database(self, fit, root):
        fit()
        (root / "state.sqlite").write_text("no database at all" * 100)
        assert any("file is not a database" in text for text in problems())

    def test_a_damaged_row(self, fit, root):
        fit()
        with sqlite3.connect(root / "state.sqlite") as database:
            newest = "(SELECT max(sequence_id) FROM burr_state)"
            database.execute(f"UPDATE burr_state SET state = '{{' WHERE sequence_id = {newest}")
        [text] = problems()
        assert "whole" not in str(doctor(1)[0]["rows"])
        assert "is damaged" in text
        assert "Until then the row before it counts: burr-lightning verify a" in text

    def test_a_run_without_its_rows(self, fit, root):
        fit()
        (root / "state.sqlite").unlink()
        assert any("'a' has checkpoints and no row" in text for text in problems())

    def test_rows_without_their_folder(self, fit, root):
        fit("a")
        fit("b")
        shutil.rmtree(root / "lightning" / "a")
        rows, tracker = problems()
        assert rows == "4 rows of the run lightning/a, whose folder is gone"
        assert tracker.startswith("1 folder of Burr's tracker, of runs that are gone; to be deleted: ")
        assert tracker.endswith("/.burr/lightning/a")

    def test_a_folder_that_is_no_run(self, fit, root):
        fit()
        info = root / "lightning/a/run.json"
        info.unlink()
        [text] = problems()
        assert text.startswith(
            f"{info.parent}: its run.json is missing, so its 2 checkpoints belong to no run."
        )

    def test_torn_files_of_a_run_that_has_finished(self, fit, root):
        fit()
        folder = root / "lightning/a"
        torn = [folder / "checkpoints/.epoch=00000.ckpt.tmp", old(folder / "outcome.tmp")]
        torn[0].write_text("torn")
        (folder / "adopted.tmp").write_text("this one is being written")
        [text] = problems()
        assert text == f"2 torn files of the run a, to be deleted: {torn[0]}, {torn[1]}"

    def test_a_checkpoint_that_no_row_names(self, fit, root):
        fit()
        newest = max((root / "lightning/a/checkpoints").iterdir())
        other = newest.with_name("epoch=00009-step=00000040-commit=0000040.ckpt")
        shutil.copy(newest, other)
        newest.with_name("of-the-user.ckpt").write_text("mine")
        [text] = problems()
        assert text == f"1 checkpoint of the run a that no row names, to be deleted: {other}"

    def test_what_a_killed_run_leaves_goes_with_its_resume(self, fit, root):
        with SteppedTraining("a", 4) as training:
            training.go_to(1, 2)
            training.kill()
        checkpoints = root / "lightning/a/checkpoints"
        (checkpoints / ".torn.ckpt.tmp").write_text("torn")
        newest = max(checkpoints.glob("*.ckpt"))
        shutil.copy(newest, newest.with_name("epoch=00009-step=00000040-commit=0000040.ckpt"))
        found = [text.partition(":")[0] for text in notes()]
        assert found == [
            "1 torn file of the run a, which go when it goes on",
            "1 checkpoint of the run a that no row names, which go when it goes on",
        ]
        fit()
        assert "orphans" not in doctor()[0]

    def test_what_a_running_run_writes_is_not_judged(self, root):
        with SteppedTraining("a", 4) as training:
            training.go_to(1, 2)
            (root / "lightning/a/checkpoints/.now.ckpt.tmp").write_text("being written")
            assert "orphans" not in doctor()[0]

    def test_a_job_that_cannot_be_read(self, root):
        submit("a", sys.executable, "-c", "pass")
        (root / ".queue/a/job.json").write_text("{")
        [text] = problems()
        assert text.startswith("the job a cannot be read")

    def test_no_room_and_a_root_that_cannot_be_made(self, own_home, monkeypatch):
        (own_home / "file").write_text("")
        monkeypatch.setenv("BURR_LIGHTNING_HOME", str(own_home / "file" / "runs"))
        [text] = problems()
        assert text.endswith(f"runs cannot be made: {own_home / 'file'} is no folder")

    @pytest.mark.skipif(not CAN_MOUNT, reason="folders cannot be mounted here")
    def test_where_nothing_can_be_written(self, fit, root, own_home):
        fit()
        command = where_it_is_read_only(own_home, [*CLI, "doctor"])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert "✗ 6 places cannot be written, so no run can be trained there" in done.stdout
        assert "✗ Burr's tracker cannot write below" in done.stdout
        assert "4 rows, and to SQLite it is in order" in done.stdout


class TestQueue:
    def test_leases(self, root):
        submit("a", sys.executable, "-c", "pass")
        subprocess.run([*CLI, "work", "--once"], check=True, capture_output=True)
        assert doctor()[0]["queue"] == [("fine", "1 lock file is free; they stay, and keep nobody out")]

    def test_a_job_that_runs_names_its_worker(self, root, tmp_path):
        from at_work import Gate, Told, WorkerProcess

        gate, told = Gate(tmp_path / "gate"), Told(tmp_path / "told")
        submit("a", "sh", "-c", f"echo begun > {told.path}; read line < {gate.path}")
        with WorkerProcess("--once") as worker:
            told.until("begun")
            [(level, text)] = doctor()[0]["queue"]
            gate.let_through()
            worker.process.wait()
        assert level == "note"
        assert text.startswith("the job a is held by process ")


def test_an_extra_that_is_missing_is_a_note(tmp_path):
    """As in an environment in which only the command line is installed."""
    code = (
        "import sys, importlib.metadata as m\n"
        "found = m.version\n"
        "def version(name):\n"
        "    if name in sys.argv[1].split(','):\n"
        "        raise m.PackageNotFoundError(name)\n"
        "    return found(name)\n"
        "m.version = version\n"
        "from burr_lightning.cli import main\n"
        "main(['doctor'])"
    )
    env = {**os.environ, "COLUMNS": "200"}
    run = [sys.executable, "-c", code]
    without = subprocess.run([*run, "redis,pandas"], capture_output=True, text=True, check=False, env=env)
    assert without.returncode == 0, without.stderr
    assert "· redis: redis is not installed; pip install 'burr-lightning[redis]'" in without.stdout
    broken = subprocess.run([*run, "torch"], capture_output=True, text=True, check=False, env=env)
    assert broken.returncode == 1
    assert "✗ torch is not installed: pip install --upgrade burr-lightning" in broken.stdout


def test_where_burr_is_missing_the_versions_are_told():
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'burr':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from burr_lightning.cli import main\n"
        "main(['doctor'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("versions         python ")
    assert "✗ it could not be looked at: No module named 'burr'" in done.stdout


def test_a_place_that_no_home_is_in(monkeypatch):
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(Path("elsewhere").absolute()))
    assert "is not there yet" in notes()[0]
