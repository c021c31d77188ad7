"""`burr-lightning compare`, on runs that were really trained."""

import json
import sys

import pytest
from click.testing import CliRunner
from lightning.pytorch.loggers import CSVLogger

from burr_lightning import BurrCallback
from burr_lightning.cli import main
from burr_lightning.testing import ScriptedModule, scripted_loader

LOSSES = [0.9, 0.5, 0.6, 0.7, 0.4, 0.5]


def train(make_trainer, run_id, monitor="val_loss", mode=None, **options):
    burr = BurrCallback(run_id, monitor=monitor, mode=mode)
    trainer = make_trainer(burr, max_epochs=6, **options)
    trainer.fit(ScriptedModule(val_loss=LOSSES), scripted_loader(), scripted_loader())


def compare(*arguments):
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_one_run_is_compared_with_its_reasons(make_trainer):
    train(make_trainer, "digits-1")
    done = compare("digits-1", "--stop", 'plateau("val_loss", patience=2)', "--stop", "max_epochs(99)")
    assert done.exit_code == 0, done.output
    assert "epoch 3" in done.output
    assert "no improvement on 0.5 (epoch 1) for 2 checks" in " ".join(done.output.split())
    assert "never" in done.output


def test_several_runs_and_logs_as_json_with_figures(make_trainer, tmp_path):
    train(make_trainer, "digits-1")
    train(make_trainer, "digits-2", logger=CSVLogger(tmp_path / "logs", name="log"))
    log = tmp_path / "logs" / "log" / "version_0"
    plot, tradeoff = tmp_path / "stops.png", tmp_path / "tradeoff.svg"
    stop = 'plateau("val_loss", 2) & ~max_epochs(3)'
    done = compare(
        "digits-1", "digits-2", log, "--stop", stop, "--json", "--plot", plot, "--tradeoff", tradeoff
    )
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["monitor"], facts["mode"]) == ("val_loss", "min")
    assert [found["epoch"] for found in facts["stops"]] == [None, None, None]
    assert facts["summaries"][0]["histories"] == 3
    assert [one["condition"] for one in facts["summaries"]] == [
        stop,
        "train to the end",
        "i-Epoch (5 epochs)",
    ]
    assert (facts["mode_from"], facts["without_regret"]) == ("assumed", [])
    assert plot.stat().st_size > 1000
    assert tradeoff.stat().st_size > 1000
    assert f"Drawn: {plot}" in done.stderr


def test_the_direction_that_the_user_gave_the_run_is_taken(make_trainer):
    train(make_trainer, "r", mode="max")
    facts = json.loads(compare("r", "--stop", 'plateau("val_loss", 3)', "--json").stdout)
    assert (facts["mode"], facts["stops"][0]["epoch"], facts["stops"][0]["best"]) == ("max", 3, 0.9)


def test_the_direction_of_the_command_line_comes_before_that_of_the_runs(make_trainer):
    train(make_trainer, "r", mode="max")
    facts = json.loads(compare("r", "--stop", 'plateau("val_loss", 2)', "--mode", "min", "--json").stdout)
    assert (facts["mode"], facts["mode_from"], facts["stops"][0]["epoch"]) == ("min", "given", 3)
    train(make_trainer, "s", mode="min")
    done = compare("r", "s", "--stop", 'plateau("val_loss", 2)')
    assert done.exit_code == 1
    assert "'max' in r; 'min' in s. Say it for all of them with mode= (on the command line: --mode)" in (
        " ".join(done.output.split())
    )
    assert compare("r", "s", "--stop", 'plateau("val_loss", 2)', "--mode", "min").exit_code == 0


def test_json_gives_the_reasons_and_infinite_regrets_as_text(tmp_path):
    log = tmp_path / "metrics.csv"
    log.write_text("epoch,val_loss\n0,nan\n1,0.5\n2,0.4\n")
    stops = ["--stop", "not_finite(val_loss)", "--stop", "plateau(val_loss, 9)"]
    facts = json.loads(compare(log, *stops, "--monitor", "val_loss", "--json").stdout)
    assert [stop["reason"] for stop in facts["stops"]] == [
        "not_finite(val_loss): nan (epoch 0) is not finite",
        None,
    ]
    assert facts["summaries"][0]["mean_regret"] == facts["stops"][0]["regret"] == "inf"


def test_where_a_figure_is_drawn_is_said_on_stdout_beside_a_table(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,val_loss\n0,0.9\n1,0.5\n")
    plot = tmp_path / "stops.png"
    arguments = [tmp_path, "--stop", "max_epochs(1)", "--monitor", "val_loss", "--plot", plot]
    done = compare(*arguments)
    assert (f"Drawn: {plot}" in done.stdout, done.stderr) == (True, "")
    done = compare(*arguments, "--json")
    assert done.stderr == f"Drawn: {plot}\n"


@pytest.mark.parametrize("option", ["--plot", "--tradeoff"])
def test_where_no_figure_can_be_written_is_said_before_anything_is_read(option, tmp_path, monkeypatch):
    def refused(path):
        done = compare("unknown", "--stop", "max_epochs(2)", option, path)
        assert (done.exit_code, "Traceback" in done.output) == (1, False)
        assert isinstance(done.exception, SystemExit)
        return " ".join(done.output.split())

    assert f"{option} x.xyz: a picture is a file that ends in .png, .svg, .pdf" in refused("x.xyz")
    assert f"there is no folder {tmp_path}/nodir" in refused("nodir/x.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert f"{option} x.png: this needs the package matplotlib: pip install" in refused("x.png")


def test_a_disk_that_takes_no_figure_is_an_error_in_one_line(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    (tmp_path / "metrics.csv").write_text("epoch,val_loss\n0,0.9\n")
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    arguments = ["--stop", "max_epochs(1)", "--monitor", "val_loss", "--plot", "x.png"]
    done = compare(tmp_path, *arguments)
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (1, True)
    assert "cannot be written to x.png ([Errno 28] No space left on device)" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["r", "--stop", "__import__('os')"], "stands for no stop condition"),
        (["r", "--stop", "plateau('nothing')"], "needs the metric 'nothing', and nothing logged it"),
        (["r", "--stop", "max_time('99999999999999999:00:00:00')"], "a time is at most 999999999 days"),
        (["r", "--stop", f"max_steps({'9' * 400})"], "the number at character 11 is too large"),
        (["unknown", "--stop", "plateau('val_loss')"], "No run matches 'unknown'"),
        (["r", "unmonitored", "--stop", "max_epochs(2)", "--monitor", "nothing"], "nothing logged it"),
        (["unmonitored", "--stop", "max_epochs(2)"], "no run says what it monitors: give --monitor"),
        (["r"], "Missing option '--stop'"),
        (["--stop", "max_epochs(2)"], "Missing argument 'RUN...'"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(make_trainer, arguments, message):
    train(make_trainer, "r")
    train(make_trainer, "unmonitored", monitor=None)
    done = compare(*arguments)
    assert done.exit_code != 0
    assert message in " ".join(done.output.split())
    assert "Traceback" not in done.output
