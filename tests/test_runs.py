import sqlite3
from datetime import datetime

import pytest
import torch
from click.testing import CliRunner
from desk_runs import change_json

from burr_lightning import BurrCallback, Run, list_runs
from burr_lightning.cli import main
from burr_lightning.errors import RunIdError, RunNotFoundError
from burr_lightning.history import MetricHistory
from burr_lightning.plots import plot_run
from burr_lightning.plots.style import FAILED
from burr_lightning.runs import find_run
from burr_lightning.steps import MachinePath, Step
from burr_lightning.testing import ScriptedModule, scripted_loader


@pytest.fixture
def train(make_trainer):
    def fit(run_id, project="lightning", max_epochs=2, **options):
        burr = BurrCallback(run_id=run_id, project=project, monitor="val_loss", **options)
        module = ScriptedModule(val_loss=[0.5, 0.3, 0.4], train_loss=[0.6, 0.5, 0.4], val_acc=[0.1, 0.2, 0.3])
        make_trainer(burr, max_epochs=max_epochs).fit(module, scripted_loader(), scripted_loader())
        return burr

    return fit


def test_a_run_is_found_by_its_id_a_beginning_of_it_or_as_the_latest(train):
    train("first-try")
    train("second-try", project="other")
    assert find_run("first-try").run_id == "first-try"
    assert find_run("sec").project == "other"
    assert find_run("latest").run_id == "second-try"
    assert find_run("latest", "lightning").run_id == "first-try"


def test_an_exact_id_is_meant_also_where_it_begins_another(train):
    train("a")
    train("ab")
    assert find_run("a").run_id == "a"


def test_a_run_is_opened_by_its_whole_id_only(train):
    train("ab")
    with pytest.raises(RunNotFoundError, match="No run matches 'a'"):
        Run.open("a")
    train("ab", project="other")
    with pytest.raises(RunNotFoundError, match=r"'ab' may mean lightning/ab, other/ab in"):
        Run.open("ab")
    assert Run.open("ab", "other").project == "other"


def test_a_fast_dev_run_is_not_taken_for_another_run(train, make_trainer):
    train("ab")
    burr = BurrCallback(run_id="a")
    make_trainer(burr, fast_dev_run=True).fit(ScriptedModule(val_loss=[1.0]), *[scripted_loader()] * 2)
    assert burr.best_model_path == ""
    with pytest.raises(RunNotFoundError, match="No run matches 'a'"):
        burr.run  # noqa: B018


def test_the_best_checkpoint_can_be_tested_from_another_process(train, make_trainer):
    class Tested(ScriptedModule):
        def test_step(self, batch, batch_idx):
            self.log("weight", self.layer.weight.sum())

    train("a", max_epochs=3)
    burr = BurrCallback(run_id="a")
    assert burr.best_model_path == str(Run.open("a").best_checkpoint)
    trainer = make_trainer(burr)
    [result] = trainer.test(Tested(val_loss=[1.0]), scripted_loader(), ckpt_path="best", verbose=False)
    weight = torch.load(burr.best_model_path, weights_only=True)["state_dict"]["layer.weight"].sum()
    assert result["weight"] == pytest.approx(weight.item())


def test_a_name_that_may_mean_several_runs_is_an_error_that_lists_them(train):
    train("digits-1")
    train("digits-2")
    with pytest.raises(RunNotFoundError, match=r"'digits' may mean lightning/digits-1, lightning/digits-2"):
        find_run("digits")
    with pytest.raises(
        RunNotFoundError, match=r"No run matches 'x' in .*runs\. Runs there: lightning/"
    ) as error:
        Run.open("x")
    assert error.value.available == ["lightning/digits-1", "lightning/digits-2"]
    with pytest.raises(RunNotFoundError, match="Runs there: none"):
        find_run("latest", "nothing")


def test_runs_are_listed_newest_first(train):
    train("one")
    train("two", project="other")
    train("three")
    assert [run.run_id for run in list_runs()] == ["three", "two", "one"]
    assert [run.run_id for run in list_runs("other")] == ["two"]
    assert list_runs("nothing") == []


def test_what_a_stored_run_says(train):
    burr = train("a", max_epochs=3)
    run = Run.open("a")
    assert repr(run) == "Run('a', project='lightning', finished, epoch 2)"
    assert (run.status, run.epoch, run.position) == ("finished", 2, "best_model")
    assert run.stop_reason == "max_epochs=3 was reached"
    assert run.state.get_all().keys() == {key for key in burr.state if not key.startswith("__")}
    assert run.history == burr.history
    assert run.best["epoch"] == 1
    assert run.best_checkpoint.name.startswith("epoch=00001")
    assert run.last_checkpoint.name.startswith("epoch=00002")
    assert run.error is None
    assert str(run.path) == "process_data -> (train_epoch -> validate) x 3 -> best_model"
    assert all(step.seconds >= 0 for step in run.path)


def test_a_best_checkpoint_that_is_gone_is_not_named(train):
    train("a")
    Run.open("a").best_checkpoint.unlink()
    assert Run.open("a").best_checkpoint is None


def test_the_figure_shows_the_metrics_by_kind_the_best_epoch_and_the_steps(train, tmp_path):
    train("a", max_epochs=3)
    figure = Run.open("a").plot(tmp_path / "a.png")
    loss, acc, below = figure.axes
    curves = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert curves.pop("_rule"), "where it stopped"
    assert list(curves) == ["val_loss", "best: 0.3 (epoch 1)", "train_loss"]
    assert curves["val_loss"] == [0.5, 0.3, 0.4]
    assert acc.get_ylabel() == "acc"
    rows = [label.get_text().split("  ")[0] for label in below.get_yticklabels()]
    actions = ["process_data", "train_epoch", "validate", "best_model"]
    assert rows == [*actions, "commits on disk", "stopped, epoch 2"]
    bars = [[path.get_extents().intervalx.tolist() for path in row.get_paths()] for row in below.collections]
    assert [[-0.5, 0.0], [0.5, 1.0], [1.5, 2.0]] in bars, "each epoch is trained around its number"
    assert [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]] in bars
    points = [list(line.get_xdata()) for line in below.lines]
    assert [-0.5] in points, "an ordinary action before the first epoch"
    assert [2.5] in points, "and after the last one"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_that_blow_up_are_drawn_on_an_axis_that_shows_the_others(make_trainer):
    make_trainer(BurrCallback(run_id="a"), max_epochs=3).fit(
        ScriptedModule(val_loss=[0.5, 3e9, 0.4], val_acc=[0.1, 0.2, 0.3]),
        scripted_loader(),
        scripted_loader(),
    )
    loss, acc, _ = Run.open("a").plot().axes
    assert (loss.get_yscale(), acc.get_yscale()) == ("log", "linear")


def test_steps_that_failed_are_red_and_the_same_actions_that_did_not_are_not():
    began = datetime(2026, 1, 1)
    steps = [
        Step(0, "note", began, began, failed=False, epoch=None),
        Step(1, "train_epoch", began, began, failed=False, epoch=0),
        Step(2, "note", began, began, failed=True, epoch=None),
    ]
    axis = plot_run("a", MetricHistory().append(0, {"loss": 1.0}), steps, None, None).axes[-1]
    drawn = [(list(line.get_xdata()), line.get_color()) for line in axis.lines]
    [usual] = {color for points, color in drawn if points == [-0.5]}
    assert drawn == [([-0.5], usual), ([0.5], FAILED)]
    assert usual != FAILED


def test_what_lightning_logs_twice_is_drawn_once():
    """With on_step and on_epoch it logs a metric under its name too."""
    metrics = {"train_loss": 1.0, "train_loss_step": 2.0, "train_loss_epoch": 3.0, "val_loss": 4.0}
    [axis] = plot_run("a", MetricHistory().append(0, metrics), [], None, None).axes
    assert [line.get_label() for line in axis.lines] == ["train_loss", "val_loss"]
    assert axis.get_ylabel() == "loss"


def test_a_run_without_steps_is_drawn_without_them(train):
    train("a", tracker=False)
    *curves, below = Run.open("a").plot().axes
    assert [axis.get_ylabel() for axis in curves] == ["loss", "acc"]
    assert [label.get_text().split("  ")[0] for label in below.get_yticklabels()] == [
        "commits on disk",
        "stopped, epoch 1",
    ]
    assert isinstance(Run.open("a").path, MachinePath)


def test_a_path_that_failed_says_where(make_trainer):
    class Breaks(ScriptedModule):
        def training_step(self, batch, batch_idx):
            if self.current_epoch == 2:
                raise ValueError("broken")
            return super().training_step(batch, batch_idx)

    trainer = make_trainer(BurrCallback(run_id="a"), max_epochs=5)
    with pytest.raises(ValueError, match="broken"):
        trainer.fit(Breaks(val_loss=[1.0]), scripted_loader(), scripted_loader())
    path = "process_data -> (train_epoch -> validate) x 2 -> train_epoch (failed)"
    assert str(Run.open("a").path) == path


def test_no_new_run_is_called_latest(train):
    with pytest.raises(RunIdError, match=r"BurrCallback\(run_id='latest'\): to the commands, 'latest'"):
        BurrCallback("latest")
    run = train("latest-2").run
    with pytest.raises(RunIdError, match=r"run_id='latest'\): to the commands, 'latest' is the newest run"):
        run.fork(run_id="latest")
    done = CliRunner().invoke(main, ["submit", "--run-id", "latest", "--", "true"])
    assert (done.exit_code, "'latest' is the newest run" in done.output) == (1, True)


def test_a_run_that_is_called_latest_already_is_opened_and_goes_on(train, own_home):
    runs = own_home / "runs"
    train("a", max_epochs=1)
    (runs / "lightning" / "a").rename(runs / "lightning" / "latest")
    change_json(runs / "lightning" / "latest" / "run.json", run_id="latest", tracker=None)
    with sqlite3.connect(runs / "state.sqlite") as rows:
        rows.execute("UPDATE burr_state SET app_id = 'latest'")
    train("latest", max_epochs=2)
    assert Run.open("latest").epoch == 1
