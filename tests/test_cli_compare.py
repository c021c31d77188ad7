"""`burr-lightning compare`, on runs that were really trained."""

import json

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
    assert plot.stat().st_size > 1000
    assert tradeoff.stat().st_size > 1000
    assert f"Drawn: {plot}" in done.stderr


def test_the_direction_that_the_user_gave_the_run_is_taken(make_trainer):
    train(make_trainer, "r", mode="max")
    facts = json.loads(compare("r", "--stop", 'plateau("val_loss", 3)', "--json").stdout)
    assert (facts["mode"], facts["stops"][0]["epoch"], facts["stops"][0]["best"]) == ("max", 3, 0.9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["r", "--stop", "__import__('os')"], "stands for no stop condition"),
        (["r", "--stop", "plateau('nothing')"], "needs the metric 'nothing', and nothing logged it"),
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
