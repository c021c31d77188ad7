"""`burr-lightning export`: weights and histories of runs that were trained, are training, or are damaged."""

import csv
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from click.testing import CliRunner
from touches import at_first_touch
from trains_beside import LOSSES, fit, training

from burr_lightning import Checkpoints, Run
from burr_lightning.cli import main
from burr_lightning.testing import ScriptedModule


def cli(*arguments):
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


def said(*arguments):
    done = cli(*arguments)
    assert done.exit_code == 0, done.output + repr(done.exception)
    assert done.stderr == ""
    return done.stdout


def error(*arguments, code=1):
    done = cli(*arguments)
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    assert isinstance(done.exception, SystemExit)
    return done.stderr


def weights_in(path):
    return torch.load(path, weights_only=True)


def same(weights, checkpoint):
    kept = torch.load(checkpoint, weights_only=True)["state_dict"]
    return weights.keys() == kept.keys() and all(torch.equal(weights[name], kept[name]) for name in kept)


def nothing_else_in(folder, *names):
    return sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted(names)


@pytest.fixture
def run(own_home):
    """Epochs 1, 3 and 4 of five are kept, 1 is the best."""
    return fit("digits", 5).run


class TestWeights:
    def test_those_of_the_best_epoch_load_into_the_module(self, run, own_home):
        assert "the weights of epoch 1" in said("digits", "--weights", "best.pt")
        weights = weights_in("best.pt")
        assert same(weights, run.best_checkpoint)
        ScriptedModule(val_loss=LOSSES).load_state_dict(weights)
        assert nothing_else_in(own_home, "best.pt")

    @pytest.mark.parametrize(("given", "epoch"), [("0", None), ("3", 3), ("4", 4), ("last", 4), ("best", 1)])
    def test_those_of_an_epoch(self, run, given, epoch):
        if epoch is None:
            assert "epoch 0 was pruned. Epochs whose weights are there: 1, 3, 4" in error(
                "digits", "--weights", "w.pt", "--epoch", given
            )
            return
        facts = json.loads(said("digits", "--weights", "w.pt", "--epoch", given, "--json"))["weights"]
        assert facts["epoch"] == epoch
        assert facts["bytes"] == Path("w.pt").stat().st_size
        assert same(weights_in("w.pt"), run.folder / facts["checkpoint"])
        assert f"epoch=0000{epoch}" in facts["checkpoint"]

    def test_an_epoch_to_come_and_what_is_no_epoch(self, run):
        assert "epoch 9 has not been trained, the newest is 4" in error(
            "digits", "--weights", "w.pt", "--epoch", 9
        )
        assert "'two' is no epoch" in error("digits", "--weights", "w.pt", "--epoch", "two", code=2)
        assert "--weights FILE" in error("digits", "--epoch", 1, code=2)

    def test_those_kept_without_their_optimizers(self, own_home):
        fit("light", 3, checkpoints=Checkpoints(keep_last=1, save_weights_only_best=True))
        done = cli("light", "--weights", "w.pt")
        assert done.exit_code == 0
        assert "no SHA-256 is kept" in done.stderr
        [kept] = (own_home / "runs/lightning/light/checkpoints").glob("*-weights.ckpt")
        assert same(weights_in("w.pt"), kept)

    def test_a_full_checkpoint_is_taken_before_one_of_the_weights_alone(self, own_home):
        fit("light", 3, checkpoints=Checkpoints(keep_last=3, save_weights_only_best=True))
        assert len(list((own_home / "runs/lightning/light/checkpoints").glob("epoch=00001*"))) == 2
        said("light", "--weights", "w.pt", "--epoch", 1)  # it has a digest

    def test_one_that_is_pruned_in_that_instant_is_looked_for_again(self, run):
        newest = run.last_checkpoint
        with at_first_touch("open", str(newest), newest.unlink):
            assert "the weights of epoch 3" in said("digits", "--weights", "w.pt", "--epoch", "last")

    def test_without_a_monitored_metric_they_are_the_last(self):
        fit("bare", 2, monitor=None)
        assert "the weights of epoch 1" in said("bare", "--weights", "w.pt")

    def test_where_every_value_was_nan_no_epoch_is_the_best(self):
        class Killed(ScriptedModule):
            def on_train_epoch_start(self):
                if self.trainer.current_epoch == 2:
                    raise RuntimeError("before its end names the last epoch the best")

        with pytest.raises(RuntimeError, match="before its end"):
            fit("nan", 3, module=Killed(val_loss=[math.nan]))
        assert "every value was NaN. Give --epoch" in error("nan", "--weights", "w.pt")
        assert "epoch 1" in said("nan", "--weights", "w.pt", "--epoch", "last")

    def test_a_damaged_checkpoint_is_no_weights(self, run):
        with open(run.best_checkpoint, "r+b") as file:
            file.seek(700)
            file.write(b"\0\1\2\3")
        says = error("digits", "--weights", "w.pt")
        assert "the checkpoint of epoch 1 is damaged. Epochs whose weights are there: 3, 4" in says
        assert not Path("w.pt").exists()

    def test_a_broken_row_is_said_and_does_not_keep_them(self, run):
        commit = run.best_checkpoint.name.partition("commit=")[2].partition(".")[0]
        with closing(sqlite3.connect("runs/state.sqlite")) as rows, rows:
            rows.execute("UPDATE burr_state SET state = '{' WHERE sequence_id = ?", (int(commit),))
        done = cli("digits", "--weights", "w.pt")
        assert done.exit_code == 0, done.output
        assert (
            f"was not compared with its SHA-256: Run 'digits': the row of step {int(commit)}" in done.stderr
        )
        assert same(weights_in("w.pt"), run.best_checkpoint)

    def test_where_no_row_can_be_read_an_epoch_has_to_be_given(self, run):
        with closing(sqlite3.connect("runs/state.sqlite")) as rows, rows:
            rows.execute("UPDATE burr_state SET state = '{'")
        done = cli("digits", "--weights", "w.pt")
        assert done.exit_code == 1
        assert "which epoch is the best is not known" in done.stderr
        assert "Give --epoch" in done.stderr
        assert cli("digits", "--weights", "w.pt", "--epoch", 3).exit_code == 0
        assert weights_in("w.pt")
        assert "The history cannot be read: Run 'digits'" in cli("digits", "--history", "h.csv").stderr

    def test_extra_state_that_is_an_object_is_refused_with_the_way_to_it(self):
        class Odd(ScriptedModule):
            def get_extra_state(self):
                return {"rate": np.float64(0.1), "when": pandas.Timestamp(0)}

            def set_extra_state(self, state):
                pass

        fit("odd", 1, module=Odd(val_loss=[0.5]))
        says = error("odd", "--weights", "w.pt")
        assert "_extra_state is a dict" in says
        assert "weights_only=False" in says
        assert not Path("w.pt").exists()


class TestHistory:
    @pytest.fixture
    def uneven(self):
        """Validated in every second epoch, with a value that is NaN and one that is infinite."""
        return fit(
            "uneven", 4, every=2, module=ScriptedModule(val_loss=[0.1 + 0.2, math.nan], odd=[math.inf])
        ).run

    def test_as_csv(self, uneven):
        assert said("uneven", "--history", "h.csv") == "h.csv: 4 epochs of val_loss, odd\n"
        with open("h.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["epoch", "step", "seconds", "val_loss", "odd"]
        assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
        assert [row["val_loss"] for row in rows] == ["", repr(0.1 + 0.2), "", "nan"]
        assert [row["odd"] for row in rows] == ["", "inf", "", "inf"]
        frame = pandas.read_csv("h.csv")
        assert np.array_equal(frame["val_loss"], uneven.history.to_numpy()["val_loss"], equal_nan=True)

    def test_what_was_written_as_csv_is_compared_as_the_run_is(self):
        run = fit("gaps", 8, every=2, module=ScriptedModule(val_loss=[0.9, 0.5, 0.7, 0.4])).run
        said(run.run_id, "--history", "metrics.csv")
        stop = ["--stop", 'plateau("val_loss", patience=2)', "--monitor", "val_loss", "--json"]
        of_run, of_file = (
            json.loads(CliRunner().invoke(main, ["compare", source, *stop]).stdout)
            for source in (run.run_id, "metrics.csv")
        )
        facts = ("epoch", "epochs", "best", "best_epoch")
        stopped, same_stopped = ([found["stops"][0][fact] for fact in facts] for found in (of_run, of_file))
        # With a NaN for each epoch without a validation it would have stopped.
        assert stopped == same_stopped == [None, 8, 0.4, 7]

    def test_as_strict_json_with_a_line_for_each_epoch(self, uneven):
        said("uneven", "--history", "h.json")
        text = Path("h.json").read_text()
        assert len(text.splitlines()) == 6

        def refuse(constant):
            raise AssertionError(constant)

        rows = json.loads(text, parse_constant=refuse)
        assert [row["val_loss"] for row in rows] == [None, 0.1 + 0.2, None, "nan"]
        assert [row["odd"] for row in rows] == [None, "inf", None, "inf"]

    def test_as_parquet(self, uneven):
        parquet = pytest.importorskip("pyarrow.parquet")
        said("uneven", "--history", "h.parquet")
        table = parquet.read_table("h.parquet")
        assert table.column_names == ["epoch", "step", "seconds", "val_loss", "odd"]
        found = table.column("val_loss").to_pylist()
        assert found[:3] == [None, 0.1 + 0.2, None]
        assert math.isnan(found[3])
        assert str(table.schema.field("epoch").type) == "int64"
        frame = pandas.read_parquet("h.parquet", engine="pyarrow")
        assert np.array_equal(frame["val_loss"], uneven.history.to_numpy()["val_loss"], equal_nan=True)

    def test_parquet_without_pyarrow_names_the_extra_and_writes_nothing(self, run, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        says = error("digits", "--weights", "w.pt", "--history", "h.parquet")
        assert "pip install 'burr-lightning[parquet]'. FILE.csv and FILE.json need nothing more." in says
        assert not Path("w.pt").exists()

    def test_one_without_metrics_says_so_and_has_its_epochs(self):
        fit("silent", 2, module=ScriptedModule(), monitor=None)
        assert said("silent", "--history", "h.csv") == "h.csv: 2 epochs in which no metric was logged\n"
        assert "History, 2 epochs in which no metric was logged: --history FILE.csv" in said("silent")
        with open("h.csv", newline="") as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]

    def test_another_ending_is_refused(self, run):
        assert "must end in .csv, .json, .parquet" in error("digits", "--history", "h.xlsx")

    def test_a_run_without_an_epoch_has_none(self):
        class Fails(ScriptedModule):
            def training_step(self, batch, batch_idx):
                raise RuntimeError("at once")

        with pytest.raises(RuntimeError, match="at once"):
            fit("none", 1, module=Fails(val_loss=[0.5]))
        assert "No epoch has been committed yet" in error("none", "--history", "h.csv")
        assert "no epoch has been committed yet" in error("none", "--weights", "w.pt", "--epoch", "last")
        shown = said("none")
        assert "there are no weights" in shown
        assert "There is no history: no epoch has been committed yet" in shown


class TestWhatThereIs:
    def test_it_is_listed_without_options(self, run, own_home):
        lines = said("digits").splitlines()
        assert lines[0].split() == ["epoch", "size", "which", "checkpoint"]
        assert [line.split()[0] for line in lines[1:4]] == ["1", "3", "4"]
        assert "best" in lines[1]
        assert "last" in lines[3]
        assert "--weights FILE.pt" in lines[4]
        assert "5 epochs of val_loss" in lines[5]
        assert nothing_else_in(own_home)

    def test_as_json(self, run):
        facts = json.loads(said("digits", "--json"))
        assert [found["epoch"] for found in facts["epochs"]] == [1, 3, 4]
        assert [found["best"] for found in facts["epochs"]] == [True, False, False]
        assert [found["last"] for found in facts["epochs"]] == [False, False, True]
        assert facts["history"] == {"epochs": 5, "metrics": ["val_loss"]}
        sizes = [(run.folder / found["checkpoint"]).stat().st_size for found in facts["epochs"]]
        assert [found["bytes"] for found in facts["epochs"]] == sizes


class TestFiles:
    def test_one_that_is_there_stays_without_force(self, run):
        Path("w.pt").write_text("mine")
        says = error("digits", "--weights", "w.pt", "--history", "h.csv")
        assert "w.pt is there already. Give another name, or --force to replace it." in says
        assert Path("w.pt").read_text() == "mine"
        assert not Path("h.csv").exists()
        said("digits", "--weights", "w.pt", "--history", "h.csv", "--force")
        assert weights_in("w.pt")
        assert Path("h.csv").exists()

    def test_where_nothing_can_be_written(self, run, own_home):
        (own_home / "folder").mkdir()
        assert "is a folder. Give the name of a file" in error("digits", "--weights", "folder")
        assert "is no folder. Make it first" in error("digits", "--history", "nowhere/h.csv")
        assert "/proc/w.pt cannot be written" in error("digits", "--weights", "/proc/w.pt")
        assert "a file of its own" in error("digits", "--weights", "h.csv", "--history", "h.csv", code=2)

    def test_a_kill_leaves_no_file_or_a_whole_one(self, run):
        script = (
            "import os, signal, sys\n"
            "from itertools import count\n"
            "points = count(1)\n"
            "def hook(event, arguments):\n"
            "    if event in ('open', 'os.rename') and 'w.pt' in str(arguments[0]):\n"
            "        next(points) == int(sys.argv[1]) and os.kill(os.getpid(), signal.SIGKILL)\n"
            "sys.addaudithook(hook)\n"
            "from burr_lightning.cli import main\n"
            "main(['export', 'digits', '--weights', 'w.pt'])\n"
        )
        for point in (1, 2):
            done = subprocess.run([sys.executable, "-c", script, str(point)], check=False)
            assert done.returncode == -signal.SIGKILL
            assert not Path("w.pt").exists()
        said("digits", "--weights", "w.pt")
        assert weights_in("w.pt")
        assert not [name for name in os.listdir() if name.endswith(".tmp")]


def test_a_run_that_trains_meanwhile(own_home):
    with training("live"):
        said("live", "--weights", "w.pt", "--history", "h.csv")
        assert same(weights_in("w.pt"), Run.open("live").best_checkpoint)
        assert len(Path("h.csv").read_text().splitlines()) == 4
        assert Run.open("live").status == "running"


def test_no_such_run_and_an_empty_store(own_home):
    assert "No run matches 'digits'" in error("digits", "--weights", "w.pt")
    assert not (own_home / "runs").exists()
    fit("other", 1)
    assert "Runs there: lightning/other" in error("digits", "--weights", "w.pt")
    assert "epoch 0" in said("oth", "--weights", "w.pt")
    assert "epoch 0" in said("latest", "--weights", "w2.pt")
