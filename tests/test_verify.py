"""Whether a run's commits are whole, and whether an epoch comes out the same when it is trained again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from burr.core.persistence import InMemoryPersister
from click.testing import CliRunner
from lightning.pytorch import Callback
from pages import ROOT, blocks

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.cli import main
from burr_lightning.errors import EpochNotReplayableError, ReplayError
from burr_lightning.layout import REPLAY_VARIABLE
from burr_lightning.replay.replaying import replay
from burr_lightning.testing import ScriptedModule, scripted_loader

RUN = Path("runs/lightning/a")


LOOKER = """
from burr_lightning import Run
run, epochs = Run.open("a"), set()
print("looking", flush=True)
while run.status == "running":
    found = run.verify()
    epochs.add(found.resume.epoch if found.resume else None)
    if not found.sound:
        print(found)
print(list(epochs))
"""


@pytest.fixture
def trained(make_trainer):
    """A run of five epochs, of which the last three checkpoints are kept: commits 0, 2, 4 … 10 and 11."""

    def train(epochs=5, *callbacks, **options):
        burr = BurrCallback("a", **{"checkpoints": Checkpoints(keep_last=3), "tracker": False, **options})
        trainer = make_trainer(burr, *callbacks, max_epochs=epochs)
        trainer.fit(ScriptedModule(val_loss=[0.5, 0.4, 0.3]), scripted_loader(), scripted_loader())
        return burr

    return train


def cli(*arguments):
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def checkpoint(epoch):
    (path,) = (RUN / "checkpoints").glob(f"epoch={epoch:05d}-*")
    return path


def flip(epoch):
    path = checkpoint(epoch)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shorten(epoch):
    os.truncate(checkpoint(epoch), 1000)


def delete(epoch):
    checkpoint(epoch).unlink()


def sql(statement, *values):
    with sqlite3.connect("runs/state.sqlite") as database:
        database.execute(statement, values)
    database.close()


def everything(folder):
    """Every file and what is in it."""
    files = [path for path in Path(folder).rglob("*") if path.is_file() and ".cache" not in path.parts]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class TestCommits:
    def test_a_whole_run_is_whole_and_nothing_is_changed_by_looking(self, trained):
        trained()
        before = everything(".")
        found = Run.open("a").verify()
        told = [(check.commit, check.action, check.epoch, check.verdict) for check in found.commits]
        assert told == [
            (0, "process_data", -1, "whole"),
            (2, "validate", 0, "pruned"),
            (4, "validate", 1, "pruned"),
            (6, "validate", 2, "whole"),
            (8, "validate", 3, "whole"),
            (10, "validate", 4, "whole"),
            (11, "best_model", 4, "whole"),
        ]
        assert found.sound
        assert (found.resume.commit, found.resume.epoch) == (11, 4)
        assert found.resume.checkpoint == checkpoint(4).relative_to(RUN).as_posix()

        said = cli("a")
        assert said.exit_code == 0
        assert [line.split()[0] for line in said.stdout.splitlines()[1:-1]] == [
            "0",
            "2",
            "6",
            "8",
            "10",
            "11",
        ]
        assert re.search(r"^2 to 4 +0 to 1 +– +– +pruned$", said.stdout, re.MULTILINE)
        name = checkpoint(4).name
        assert said.stdout.splitlines()[-1] == (
            f"A resume would use commit 11, after epoch 4: checkpoints/{name}"
        )
        assert everything(".") == before

    @pytest.mark.parametrize(
        ("damages", "verdicts", "code", "goes_on"),
        [
            ([(flip, 4)], {4: "damaged"}, 1, "goes on after epoch 3"),
            ([(shorten, 4)], {4: "damaged"}, 1, "goes on after epoch 3"),
            ([(delete, 4)], {4: "missing"}, 1, "goes on after epoch 3"),
            ([(flip, 3)], {3: "damaged"}, 1, "goes on after epoch 4"),
            ([(delete, 3)], {3: "pruned"}, 0, "goes on after epoch 4"),
            ([(flip, 4), (delete, 3)], {4: "damaged", 3: "pruned"}, 1, "goes on after epoch 2"),
        ],
    )
    def test_what_is_said_of_a_damaged_run_is_what_a_resume_does(
        self, trained, caplog, damages, verdicts, code, goes_on
    ):
        trained()
        for damage, epoch in damages:
            damage(epoch)
        found = Run.open("a").verify()
        told = {check.epoch: check.verdict for check in found.commits}
        assert {epoch: told[epoch] for epoch in verdicts} == verdicts
        said = cli("a")
        assert said.exit_code == code, said.output
        assert goes_on[8:] in said.stdout.splitlines()[-1]
        caplog.clear()
        trained(epochs=6)
        assert goes_on in caplog.text

    def test_a_run_none_of_whose_commits_can_be_used(self, trained):
        trained()
        for epoch in (2, 3, 4):
            flip(epoch)
        said = cli("a")
        assert said.exit_code == 2
        assert said.stdout.count("damaged: the checkpoint's SHA-256 is") == 4
        assert said.stdout.endswith("No commit can be used: no checkpoint that a commit names is whole.\n")

    def test_an_older_row_that_cannot_be_read(self, trained):
        trained()
        sql("UPDATE burr_state SET state = '{' WHERE sequence_id = 6")
        said = cli("a")
        assert said.exit_code == 1
        assert re.search(
            r"^ +6 +– +– +– +unreadable: the row cannot be read: JSONDecodeError", said.stdout, re.M
        )
        assert "after epoch 4" in said.stdout.splitlines()[-1]

    def test_the_newest_row_cannot_be_read(self, trained):
        trained()
        sql("UPDATE burr_state SET state = '{' WHERE sequence_id = 11")
        said = cli("a")
        assert said.exit_code == 1
        assert re.search(r"^ +11 +– +– +– +unreadable", said.stdout, re.M)
        assert "after epoch 4" in said.stdout.splitlines()[-1]

    def test_a_row_that_holds_the_history_of_others_is_gone(self, trained):
        trained(epochs=10)
        found = Run.open("a").verify()
        assert found.sound
        sql("DELETE FROM burr_state WHERE sequence_id = 16")
        found = Run.open("a").verify()
        told = {check.commit: check.verdict for check in found.commits}
        assert told[14] == "pruned"
        assert told[18] == told[20] == told[21] == "incomplete"
        assert found.commits[-1].detail == "row 16, with the metric history before it, is gone"
        assert found.resume is None
        assert found.problem.startswith("a resume would fail: ResumeError: Run 'a': row 16 is gone")
        assert cli("a").exit_code == 2

    def test_a_database_that_is_none(self, trained):
        trained()
        Path("runs/state.sqlite").write_bytes(b"this is no database" * 100)
        said = cli("a")
        assert said.exit_code == 2
        assert "cannot read its rows from" in said.stderr
        assert "DatabaseError: file is not a database" in said.stderr
        assert isinstance(said.exception, SystemExit)

    def test_a_run_without_a_row(self, trained):
        trained()
        Path("runs/state.sqlite").unlink()
        said = cli("a")
        assert said.exit_code == 2
        assert said.stdout == "No commit can be used: no commit has been made yet.\n"

    def test_rows_that_are_elsewhere_are_read_through_their_persister(self, trained):
        burr = trained(persister=InMemoryPersister())
        assert burr.run.verify().sound
        flip(4)
        assert burr.run.verify().resume.epoch == 3
        said = cli("a")
        assert said.exit_code == 2
        assert "its rows are in a InMemoryPersister that its script opened" in said.stderr

    def test_json(self, trained):
        trained()
        flip(3)
        said = cli("a", "--json")
        assert said.exit_code == 1
        facts = json.loads(said.stdout)
        assert (facts["run_id"], facts["project"], facts["sound"]) == ("a", "lightning", False)
        assert facts["resume"]["epoch"] == 4
        (damaged,) = [check for check in facts["commits"] if check["verdict"] == "damaged"]
        assert (damaged["commit"], damaged["epoch"]) == (8, 3)
        assert damaged["checkpoint"] == checkpoint(3).relative_to(RUN).as_posix()
        assert damaged["detail"].startswith("the checkpoint's SHA-256 is")

    def test_a_run_that_trains_is_never_said_to_be_damaged(self, trained):
        """Each commit prunes what the one before it named: whoever looks meanwhile looks again."""
        lookers = []

        class Look(Callback):
            def on_train_epoch_start(self, trainer, *_):
                if trainer.current_epoch == 1:
                    assert Run.open("a").status == "running"
                    pipe = {"stdout": subprocess.PIPE, "text": True}
                    lookers.append(subprocess.Popen([sys.executable, "-c", LOOKER], **pipe))
                    assert lookers[0].stdout.readline() == "looking\n"

        trained(40, Look(), checkpoints=Checkpoints(keep_last=1, keep_best=0))
        with lookers[0] as looker:
            *unsound, epochs = looker.stdout.readlines()
        assert unsound == []
        assert len(json.loads(epochs)) > 2

    @pytest.mark.parametrize(
        "arguments", [["--replay", 3], ["--", "python"], ["--ignore", "metrics"], ["--replay", -1, "--", "x"]]
    )
    def test_wrong_use_is_a_usage_error(self, trained, arguments):
        trained(epochs=1)
        said = cli("a", *arguments)
        assert said.exit_code == 2
        assert said.stderr.startswith("Usage: ")

    def test_a_run_that_is_not_there(self, trained):
        trained(epochs=1)
        said = cli("b")
        assert said.exit_code == 2
        assert "No run matches 'b'" in said.stderr


SCRIPT = """
import os, sys
import torch
from burr.core.persistence import InMemoryPersister
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint, Timer
from lightning.pytorch.loggers import CSVLogger
from burr_lightning import BurrCallback, Checkpoints
from burr_lightning.testing import ScriptedModule, scripted_loader

class Module(ScriptedModule):
    def on_train_epoch_end(self):
        super().on_train_epoch_end()
        if sys.argv[1] == "random":
            self.layer.bias.data += os.getpid()  # no other process that lives has it

seed_everything(1)
burr = BurrCallback(None if sys.argv[1] == "own" else sys.argv[2], "p", persister=InMemoryPersister(),
                    checkpoints=Checkpoints(keep_last=9), monitor="val_loss")
others = [ModelCheckpoint("others", monitor="val_loss", save_last=True), Timer(interval="epoch")]
trainer = Trainer(max_epochs=3, callbacks=[*others, burr], accelerator="cpu", enable_progress_bar=False,
                  logger=CSVLogger("logs", version=0), enable_model_summary=False, log_every_n_steps=1)
trainer.fit(Module(val_loss=[0.5, 0.4, 0.3]), scripted_loader(), scripted_loader())
open(f"went on after the fit, in process {os.getpid()}", "w").close()
"""


def run_script(path, *arguments):
    """Run a script here, and give what is in it."""
    given, sys.argv = sys.argv, [str(path), *arguments]
    try:
        return runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = given


@pytest.fixture
def script():
    path = Path("train.py")
    path.write_text(SCRIPT)
    return path


class TestReplay:
    def test_what_the_docs_say_happens(self):
        document = ROOT / "docs" / "verify.md"
        (script,) = blocks(document, "python")
        Path("train.py").write_text(script.code)
        run_script("train.py")
        commands = [line.split() for block in blocks(document, "console") for line in block.code.splitlines()]
        shown = [block.code.splitlines() for block in blocks(document, "text")]
        outputs = [CliRunner().invoke(main, arguments) for _, *arguments in self.here(commands)]
        assert [done.exit_code for done in outputs] == [0, 0]
        assert outputs[0].stdout.splitlines() == shown[0]
        assert outputs[1].stdout.splitlines() == shown[1][1:]
        assert not list(Path("burr_runs").glob(".replay-*"))

    def here(self, commands):
        """The commands of the docs, with the Python of the tests."""
        for command in commands:
            assert command[0] == "burr-lightning"
            yield [sys.executable if word == "python" else word for word in command]

    def test_epoch_0_of_a_run_with_files_and_a_persister_of_its_own(self, script):
        burr = run_script(script, "own")["burr"]
        assert Run.open(burr.run.run_id).status == "finished"
        before = everything(".")
        assert Path("logs/lightning_logs/version_0/metrics.csv") in before
        assert Path("others/last.ckpt") in before
        found = replay(burr.run, 0, [sys.executable, str(script), "own"])
        assert found.after is None
        assert found.comparison.exact, found.comparison.differences
        timer, left_out = sorted(found.comparison.ignored)
        assert timer == "callbacks.Timer.time_elapsed"
        assert left_out.startswith("callbacks[\"ModelCheckpoint{'monitor': 'val_loss'")
        assert everything(".") == before

    def test_a_script_that_is_not_exact_is_told_which_tensor_differs_first(self, script, monkeypatch):
        burr = run_script(script, "random", "r")["burr"]
        found = replay(burr.run, 2, [sys.executable, str(script), "random", "r"])
        assert (found.epoch, found.after) == (2, 1)
        (difference,) = found.comparison.differences
        assert (difference.name, difference.differing, difference.elements) == ("layer.bias", 1, 1)
        assert difference.largest_absolute >= 1
        monkeypatch.setattr("burr_lightning.replay.replaying.replay", lambda *_, **__: found)
        said = cli("r", "--replay", 2, "--", "python")
        assert said.exit_code == 1
        first = said.stdout.splitlines()[0]
        assert first.startswith(
            "epoch 2 replayed: first difference: layer.bias [1]: 1 of 1 elements, largest "
        )
        facts = json.loads(cli("r", "--replay", 2, "--json", "--", "python").stdout)
        assert (facts["exact"], facts["after"]) == (False, 1)
        assert [each["name"] for each in facts["differences"]] == ["layer.bias"]

    def test_a_script_that_fits_another_run_is_told_so_and_trains_nothing(self, script):
        burr = run_script(script, "exact", "a")["burr"]
        before = everything(".")
        with pytest.raises(ReplayError, match="it fits run 'b' of project 'p', not run 'a' of project 'p'"):
            replay(burr.run, 1, [sys.executable, str(script), "exact", "b"])
        assert everything(".") == before

    @pytest.mark.parametrize(
        ("code", "said"),
        [
            ("print('out'); raise SystemExit('boom')", "ended with exit code 1 before epoch 3 was committed"),
            ("import os; print('out', flush=True); os.kill(os.getpid(), 9)", "was killed by signal 9 before"),
            ("print('out')", "it ended without a fit with BurrCallback"),
        ],
    )
    def test_a_command_that_fails_is_shown_with_what_it_printed_last(self, trained, code, said):
        trained()
        done = cli("a", "--replay", 3, "--", sys.executable, "-c", f"print('line\\n' * 30); {code}")
        assert done.exit_code == 2
        assert said in done.stderr
        lines = done.stderr.splitlines()
        assert "out" in lines[-3:]
        assert len(lines) < 25
        assert not list(Path("runs").glob(".replay-*"))

    def test_a_command_that_is_not_there(self, trained):
        trained()
        done = cli("a", "--replay", 3, "--", "no-such-program", "train.py")
        assert done.exit_code == 2
        assert "no-such-program train.py: it cannot be started" in done.stderr

    @pytest.mark.parametrize(
        ("epoch", "why", "available"),
        [
            (1, "epoch=00001-.* was pruned, or deleted", [3, 4]),
            (2, "epoch=00001-.* was pruned, or deleted", [3, 4]),
            (7, "no commit was made when it ended", [3, 4]),
        ],
    )
    def test_an_epoch_that_cannot_be_trained_again(self, trained, epoch, why, available):
        run = trained().run
        with pytest.raises(EpochNotReplayableError, match=why) as error:
            replay(run, epoch, ["never", "started"])
        assert (error.value.epoch, error.value.available) == (epoch, available)
        assert "Checkpoints(keep_last=...)" in str(error.value)
        assert cli("a", "--replay", epoch, "--", "never").exit_code == 2

    @pytest.mark.parametrize(("damaged", "available"), [(4, [3]), (3, [])])
    def test_an_epoch_whose_checkpoints_are_damaged(self, trained, damaged, available):
        run = trained().run
        flip(damaged)
        with pytest.raises(EpochNotReplayableError, match="is damaged") as error:
            replay(run, 4, ["never", "started"])
        assert error.value.available == available

    def test_a_process_that_was_left_with_the_variable_of_a_replay_is_told(self, monkeypatch, trained):
        monkeypatch.setenv(REPLAY_VARIABLE, "gone")
        with pytest.raises(ReplayError, match="BURR_LIGHTNING_REPLAY='gone': nothing is to be trained again"):
            trained()

    def test_the_epoch_that_a_resume_trained_anew_is_the_one_that_counts(self, trained):
        from burr_lightning.replay.replaying import _epoch_ends

        trained(epochs=4)
        flip(3)
        run = trained(epochs=5).run
        with run.rows() as rows:
            ends = _epoch_ends(rows)
        assert sorted(ends) == [0, 1, 2, 3, 4]
        (anew,) = (RUN / "checkpoints").glob("epoch=00003-*")
        assert Path(ends[3].first["path"]).name == anew.name
        assert [Path(end["path"]).name for end in (ends[3].last, ends[4].first)] == [
            anew.name,
            checkpoint(4).name,
        ]
