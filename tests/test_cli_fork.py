"""`burr-lightning fork`, and what the other commands say of forks."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from at_work import cli
from click.testing import CliRunner
from digits import DigitNet, digit_loaders

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.cli import main

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from digits import DigitNet, digit_loaders, weights_hash
from lightning.pytorch import Trainer, seed_everything
from burr_lightning import BurrCallback, Checkpoints

seed_everything(1)
module = DigitNet()
burr = BurrCallback({name}, monitor="val_loss", checkpoints=Checkpoints(keep_last=9))
options = dict(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
Trainer(max_epochs=4, callbacks=[burr], **options).fit(module, *digit_loaders(samples=128))
print(burr.run.run_id, weights_hash(module))
"""


def script(name):
    text = SCRIPT.format(tests=str(Path(__file__).parent), name=name)
    Path("train.py").write_text(text)
    return [sys.executable, "train.py"]


def train(command, **environment):
    variables = {**os.environ, **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return done.stdout.split()


def said(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize("name", ["'base'", "None"])
def test_a_fork_is_resumed_with_the_command_of_its_parent_whether_that_names_the_run_or_not(name):
    named = {} if name == "'base'" else {"BURR_LIGHTNING_RUN_ID": "base"}
    run_id, weights = train(script(name), **named)
    assert run_id == "base"
    assert "burr-lightning resume same --project lightning" in said("fork", "base@1", "same")
    assert f"\nsame {weights}\n" in f"\n{cli('resume', 'same')}"
    assert Run.open("base").epoch == 3


def test_a_fork_of_a_fork_is_resumed_too_and_both_have_what_was_changed():
    _, weights = train(script("'base'"))
    said("fork", "base@1", "faster", "--set", "learning_rate=0.01")
    [other] = re.findall("^faster (.*)$", cli("resume", "faster"), re.MULTILINE)
    assert other != weights
    said("fork", "faster@2", "again")
    assert f"\nagain {other}\n" in f"\n{cli('resume', 'again')}"


def test_a_worker_leaves_a_fork_to_who_has_made_it():
    train(script("'base'"))
    said("fork", "base@1", "fork")
    assert "fork" not in cli("work", "--once")
    assert Run.open("fork").epoch == 1


@pytest.fixture
def base(make_trainer):
    burr = BurrCallback("base", monitor="val_loss", checkpoints=Checkpoints(keep_last=9))
    make_trainer(burr, max_epochs=4).fit(DigitNet(), *digit_loaders(samples=128))
    return Run.open("base")


def test_lineage_is_shown(base):
    said("fork", "base@1", "b")
    said("fork", "base@best", "a", "--set", "learning_rate=0.01", "--set", "weight_decay=0.1")
    said("fork", "b", "c")
    tree = [line.partition("lightning")[0].rstrip() for line in said("runs", "--tree").splitlines()[1:]]
    assert tree == [
        "base",
        "├─ b (from epoch 1)",
        "│  └─ c (from epoch 1)",
        "└─ a (from epoch 3)",
    ]
    assert "base, after epoch 3, with learning_rate=0.01, weight_decay=0.1" in said("show", "a")
    assert "forks            b (epoch 1), a (epoch 3)" in said("show", "base")
    shown = json.loads(said("show", "b", "--json"))
    assert shown["parent"] == {"run_id": "base", "epoch": 1}
    assert shown["forks"] == ["c"]


def test_json_and_an_id_of_its_own(base):
    made = json.loads(said("fork", "base@2", "--json"))
    assert made["parent"] == {"run_id": "base", "epoch": 2}
    assert Run.open(made["run_id"]).epoch == 2


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["base@7", "x"], 1, "epoch 7: the run has not trained it. Epochs that can be forked: 0, 1, 2, 3."),
        (["base@soon", "x"], 2, "'soon' is no epoch: a number from 0 on, best or last."),
        (["other@1", "x"], 1, "No run matches 'other'"),
        (["base@1", "base"], 1, "there is a run of that name"),
        (["base@1", "x", "--set", "lr"], 2, "'lr' is not NAME=VALUE."),
        (["base@1", "x", "--set", "a=1", "--set", "a=2"], 2, "a is given twice."),
        (["base@1", "x", "--set", "learning_rate=fast"], 1, "must be a number, was 0.002"),
    ],
)
def test_what_cannot_be_forked_says_why(base, arguments, code, says):
    output = " ".join(said("fork", *arguments, code=code).split())
    assert says in output
    assert len(list(base.folder.parent.iterdir())) == 1


def test_what_is_to_be_typed_can_be_copied_into_a_shell(base, own_home):
    root = (own_home / "runs").rename(own_home / "my runs")
    told = re.search("To train it: (.*); or", said("fork", "base@1", "same", "--root-dir", root))[1]
    where = ["--project", "lightning", "--root-dir", str(root)]
    assert shlex.split(told) == ["burr-lightning", "resume", "same", *where]


def test_how_to_end_a_deletion_says_where_the_run_is(base, own_home):
    root = (own_home / "runs").rename(own_home / "my runs")
    (root / "lightning/base/run.json").rename(root / "lightning/base/deleted.json")
    done = CliRunner().invoke(main, ["runs", "--root-dir", str(root)])
    command = done.stderr.partition("To end that: ")[2]
    where = ["--project", "lightning", "--root-dir", str(root)]
    assert shlex.split(command) == ["burr-lightning", "delete", "base", *where, "--yes"]
    told = said("doctor", "--root-dir", root, code=1)
    assert f"to end that: {command.strip()}" in told
    assert said(*shlex.split(command)[1:]).endswith("Run base is deleted.\n")
