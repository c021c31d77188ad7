"""Every example runs, and shows what it says at its top."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from at_work import DEADLINE
from scripts import run_script

from burr_lightning import Run

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py"))


ARGUMENTS = {"hyperparameter_search": ["--trials", "8"]}


def run(example):
    return run_script(EXAMPLES / f"{example}.py", *ARGUMENTS.get(example, []))


def percentages(said):
    return [float(found) for found in re.findall(r"([\d.]+)%", said)]


def recovers(said):
    assert int(re.search(r"Rollbacks: (\d+)", said).group(1)) >= 1
    recovered, healthy = percentages(said)
    assert recovered > healthy - 2


def finetunes(said):
    assert re.search(r"train_head .* begin_last_block .* begin_everything .* best_model", said)
    assert "Frozen at the end: {'frozen': 0, 'of': 8}" in said
    finetuned, from_scratch = percentages(said)
    assert finetuned > from_scratch + 4


def restarts(said):
    assert "Restarts: 3" in said
    assert re.search(r"Stopped: +plateau\(val_loss, patience=1\) in this stage: ", said)


def teaches(said):
    assert re.search(r"data_of_clear .* data_of_most .* data_of_all .* best_model", said)
    assert "'samples': 1437" in said
    assert percentages(said)[0] > 96


def asks(said):
    """The first time it asks; answered with a lower rate it is better before it asks again."""
    best = float(re.search(r"Asked after epoch \d+, at ([\d.]+) at best", said).group(1))
    waiting = Run.open("looked-at", "digits")
    assert waiting.status == "paused"
    waiting.answer("go", lr=1e-3)
    again = run("human_in_the_loop").stdout
    assert "review -> set_learning_rate -> (train_epoch -> validate)" in again
    assert min(Run.open("looked-at", "digits").history["val_loss"]) < best - 0.01


def searches(said):
    judged = percentages(said)
    assert len(judged) == 5
    assert max(judged) > 95
    assert f"'accuracy': {max(judged) / 100:.3f}"[:-1] in said


def tunes(said):
    """The best network is as good as it says, and its run has its weights; those given up end in `pruned`."""
    assert sum(int(count) for count in re.findall(r"(\d+) (?:finished|pruned)", said)) == 8
    assert percentages(said)[0] > 93
    trial = re.search(r"Best: +trial (\d+), val_loss ([\d.]+)", said)
    best = Run.open(f"tpe-0-{trial.group(1)}", "digits")
    assert best.best["value"] == pytest.approx(float(trial.group(2)), abs=1e-4)
    assert str(best.best_checkpoint) in said
    assert re.search(r"Given up: .* -> pruned$", said, re.MULTILINE)


def measures(said):
    """The values that the mixin has logged are those by hand, and its figures are of the best epoch."""
    assert re.search(r"only_head -> .* begin_last_layer -> .* begin_everything -> .* best_model", said)
    assert re.findall(r"begin_(\w+): .*'frozen': (\d)", said) == [("last_layer", "6"), ("everything", "4")]
    values = re.findall(r"^val_\w+: ([\d.]+), by hand ([\d.]+)$", said, re.MULTILINE)
    assert [float(value) for value, _ in values] == pytest.approx(
        [float(hand) for _, hand in values], abs=2e-6
    )
    assert min(float(value) for value, _ in values) > 0.85
    run = Run.open("measured-stages", "digits")
    assert int(re.search(r"Best epoch: (\d+)", said).group(1)) == run.best["epoch"]
    assert run.history["val_f1"].index(max(run.history["val_f1"])) == run.best["epoch"]
    drawn = [Path(figure).name for figure in re.findall(r"Figure: +(\S+)", said)]
    assert drawn == ["val_confusion.png", "val_roc.png", "measured_stages.png"]


def evolves(said):
    """The best network has come of others, and is better than any of a random search of as long."""
    tree, _, rest = said.partition("Best:")
    assert len(re.findall(r"^[│ ]*[├└]─ \d+", tree, re.MULTILINE)) > 5
    best, constant = (float(found) for found in re.findall(r"val_loss ([\d.]+)", rest))
    assert best < constant
    stored = Run.open(re.match(r" +([\w-]+),", rest).group(1), "digits-population")
    assert stored.parent is not None
    assert stored.history["val_loss"][-1] == pytest.approx(best, abs=1e-4)
    assert len(set(re.search(r"its rates: +(.*)", rest).group(1).split())) > 1


def compares(said):
    """All conditions save epochs; the one with more patience trains longer and loses less."""
    found = dict(re.findall(r"^  (.+): ([\d.]+ epochs, regret [\d.e-]+)", said, re.MULTILINE))
    hasty, patient, *_ = [
        tuple(float(number) for number in re.findall(r"[\d.]+(?:e-\d+)?", numbers))
        for numbers in found.values()
    ]
    assert hasty[0] < patient[0] < 60
    assert hasty[1] > patient[1] > 0


SHOWS = {
    "curriculum": teaches,
    "human_in_the_loop": asks,
    "hyperparameter_search": tunes,
    "learning_curves": compares,
    "measured_stages": measures,
    "population_based_training": evolves,
    "rollback_on_divergence": recovers,
    "staged_finetuning": finetunes,
    "training_pipeline": searches,
    "warm_restarts": restarts,
}


@pytest.mark.parametrize("example", [name for name in NAMES if name != "quickstart"])
def test_an_example_runs_and_shows_what_it_says(example):
    done = run(example)
    assert done.returncode == 0, done.stderr
    SHOWS.get(example, str)(done.stdout)
    for figure in re.findall(r"Figure: +(\S+\.png)", done.stdout):
        assert Path(figure).read_bytes().startswith(b"\x89PNG")


def test_the_quickstart_learns_digits_and_is_not_trained_twice():
    first = run("quickstart")
    assert first.returncode == 0, first.stderr
    stored = Run.open("quickstart", "digits")
    assert stored.status == "finished"
    assert max(stored.history["val_acc"]) > 0.97
    assert stored.stop_reason in first.stdout
    assert str(stored.best_checkpoint) in first.stdout
    epochs = len(stored.history)
    assert re.search(rf"process_data.*train_epoch.*validate.*{epochs}.*best_model", first.stdout)
    assert Path("quickstart.png").read_bytes().startswith(b"\x89PNG")
    second = run("quickstart")
    assert "is finished and is not trained again" in second.stderr
    assert len(Run.open("quickstart", "digits").history) == epochs


def test_the_pipeline_killed_in_the_middle_of_a_network_comes_to_the_same(tmp_path, monkeypatch):
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    whole = run("training_pipeline")
    monkeypatch.chdir(tmp_path / "killed")
    command = [sys.executable, EXAMPLES / "training_pipeline.py"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    committed = Path("training_pipeline/runs/digits-pipeline/iteration-2/checkpoints")
    deadline = time.monotonic() + DEADLINE
    # The row that names a checkpoint is there for sure once the next checkpoint is.
    while len(list(committed.glob("epoch=*.ckpt"))) < 2 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    again = run("training_pipeline")
    assert "Run 'iteration-2' of project 'digits-pipeline' goes on after epoch" in again.stderr
    assert "iteration-1" not in again.stderr
    assert again.stdout == whole.stdout
