"""`burr-lightning plot`, on runs that were really trained."""

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.cli import main
from burr_lightning.testing import ScriptedModule, scripted_loader

STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


@pytest.fixture
def train(make_trainer):
    def fit(run_id, project="lightning"):
        burr = BurrCallback(run_id, project, monitor="val_loss", checkpoints=Checkpoints(keep_last=9))
        module = ScriptedModule(val_loss=[0.5, 0.3, 0.4], val_acc=[0.1, 0.2])
        make_trainer(burr, max_epochs=3).fit(module, scripted_loader(), scripted_loader())

    return fit


def plot(*arguments, code=0):
    done = CliRunner().invoke(main, ["plot", *map(str, arguments)])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def texts_of(path):
    """The texts of an SVG: matplotlib draws them as shapes, and notes each in a comment."""
    return set(re.findall(r"<!-- (.+?) -->", path.read_text()))


@pytest.mark.parametrize("ending", STARTS)
def test_a_figure_is_written_by_its_ending(train, ending, tmp_path):
    train("digits")
    path = tmp_path / f"figure{ending}"
    assert plot("dig", "-o", path) == f"Drawn: {path}"
    assert path.read_bytes().startswith(STARTS[ending])


def test_without_a_file_it_is_named_after_what_it_shows(train):
    train("one")
    train("two")
    assert plot("one") == "Drawn: one.png"
    assert plot("latest") == "Drawn: two.png"
    assert plot("one", "two") == "Drawn: runs.png"
    assert plot("one", "--kind", "timeline") == "Drawn: one-timeline.png"
    assert plot("--kind", "tree") == "Drawn: lightning-forks.png"
    assert {path.name for path in Path().glob("*.png")} == {
        "one.png",
        "two.png",
        "runs.png",
        "one-timeline.png",
        "lightning-forks.png",
    }


def test_one_run_has_its_actions_and_several_are_on_top_of_each_other(train):
    train("one")
    train("two")
    plot("one", "-o", "one.svg")
    assert {"one: max_epochs=3 was reached", "stopped, epoch 2"} <= texts_of(Path("one.svg"))
    plot("one", "two", "--metric", "val_acc", "-o", "both.svg")
    both = texts_of(Path("both.svg"))
    assert {"one", "two", "val_acc", "epoch"} <= both
    assert not any("val_loss" in text for text in both)
    plot("one", "one", "-o", "same.svg")
    assert "stopped, epoch 2" in texts_of(Path("same.svg")), "a run that is named twice is one"


def test_a_tree_has_all_runs_of_a_project_or_the_family_of_some(train):
    train("base")
    train("stranger")
    Run.open("base").fork(epoch=1, run_id="fork")
    plot("--kind", "tree", "-o", "all.svg")
    assert {"base", "fork", "stranger", "val_loss 0.3 (epoch 1)"} <= texts_of(Path("all.svg"))
    plot("fork", "--kind", "tree", "-o", "family.svg")
    family = texts_of(Path("family.svg"))
    assert {"base", "fork"} <= family
    assert "stranger" not in family


def test_a_tree_is_of_one_project(train):
    train("one", "here")
    train("two", "there")
    assert "these are of here, there: give --project" in plot("--kind", "tree", code=2)
    assert "these are of here, there" in plot("one", "two", "--kind", "tree", code=2)
    plot("--kind", "tree", "--project", "there", "-o", "there.svg")
    assert {"two"} == {"one", "two"} & texts_of(Path("there.svg"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "--kind curves draws runs: give RUN"),
        (["--kind", "timeline"], 2, "--kind timeline draws runs: give RUN"),
        (["a", "b", "--kind", "timeline"], 2, "--kind timeline draws one run"),
        (
            ["a", "--kind", "tree", "--metric", "val_loss"],
            2,
            "--metric chooses curves, and --kind tree has none",
        ),
        (["a", "--metric", "nope"], 1, "The figure needs the metric 'nope'"),
        (["unknown"], 1, "No run matches 'unknown'"),
        (["a", "-o", "a.gif"], 1, "-o a.gif: a picture is a file that ends in .png, .svg, .pdf"),
        (["a", "-o", "nowhere/a.png"], 1, "there is no folder"),
        (["--kind", "tree", "--project", "empty"], 1, "There are no runs to be drawn"),
    ],
)
def test_what_cannot_be_drawn_is_said_on_one_line_and_nothing_is_written(train, arguments, code, message):
    train("a")
    assert message in plot(*arguments, code=code)
    assert [path for path in Path().iterdir() if path.suffix in (*STARTS, ".gif")] == []


def test_a_run_whose_rows_cannot_be_read_is_named(train):
    train("a")
    Path("runs/state.sqlite").write_bytes(b"nothing of the kind" * 100)
    assert "state.sqlite" in plot("a", code=1)


def test_without_matplotlib_what_to_install_is_said_before_anything_is_read(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    said = plot("unknown", code=1)
    assert "plot: this needs the package matplotlib: pip install 'burr-lightning[plot]'" in said


def test_a_file_that_cannot_be_written_is_an_error_in_one_line(train, tmp_path):
    train("a")
    (tmp_path / "taken.png").symlink_to(tmp_path / "gone" / "taken.png")
    assert "The figure cannot be written to taken.png" in plot("a", "-o", "taken.png", code=1)
