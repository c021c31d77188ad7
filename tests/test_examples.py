"""Every example runs, and shows what it says at its top."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from burr_lightning import Run

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


def run(example):
    return subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example):
    done = run(example)
    assert done.returncode == 0, done.stderr


def test_the_quickstart_learns_digits_and_is_not_trained_twice():
    [quickstart] = [path for path in EXAMPLES if path.stem == "quickstart"]
    first = run(quickstart)
    stored = Run.open("quickstart", "digits")
    assert stored.status == "finished"
    assert max(stored.history["val_acc"]) > 0.97
    assert stored.stop_reason in first.stdout
    assert str(stored.best_checkpoint) in first.stdout
    epochs = len(stored.history)
    assert re.search(rf"process_data.*train_epoch.*validate.*{epochs}.*best_model", first.stdout)
    assert Path("quickstart.png").read_bytes().startswith(b"\x89PNG")
    second = run(quickstart)
    assert "is finished and is not trained again" in second.stderr
    assert len(Run.open("quickstart", "digits").history) == epochs
