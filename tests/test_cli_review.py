"""`burr-lightning review`, against runs that really wait."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from burr.core.graph import GraphBuilder
from click.testing import CliRunner

from burr_lightning import BurrCallback, Run
from burr_lightning.actions import BestModel, Call, TrainEpoch, Validate
from burr_lightning.cli import main
from burr_lightning.conditions import max_epochs
from burr_lightning.machines import FINISHED, VALIDATION_DUE
from burr_lightning.testing import ScriptedModule, scripted_loader


@pytest.fixture
def waiting(make_trainer):
    """A run that waits for an answer."""

    def train(run_id="digits", epochs=4, **losses):
        burr = BurrCallback(run_id=run_id, monitor="val_loss", review_when=max_epochs(2))
        script = losses or {"val_loss": [0.9, 0.5, 0.4], "train_loss": [1.0, 0.7, 0.6]}
        make_trainer(burr, max_epochs=epochs).fit(
            ScriptedModule(**script), scripted_loader(), scripted_loader()
        )
        return burr.run

    return train


def command(*arguments):
    return CliRunner().invoke(main, ["review", *arguments])


def test_a_run_is_answered_without_being_asked(waiting):
    waiting()
    done = command("digits", "--verdict", "go", "--set", "lr=1e-4", "--comment", "Fine.", "--by", "ada")
    assert done.exit_code == 0, done.output
    assert "Run digits was answered: verdict=go, lr=0.0001." in done.output
    [asked] = Run.open("digits").reviews
    assert asked.answer.values == {"verdict": "go", "lr": 0.0001}
    assert (asked.answer.comment, asked.answer.by, asked.answer.via) == ("Fine.", "ada", "command line")


def test_the_command_that_the_console_gives_answers(waiting, caplog):
    with caplog.at_level("INFO"):
        waiting()
    [line] = [line for line in caplog.messages if line.startswith("To answer: ")]
    words = line.removeprefix("To answer: ").split()
    assert words[:2] == ["burr-lightning", "review"]
    assert CliRunner().invoke(main, words[1:]).exit_code == 0
    assert Run.open("digits").is_answered


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--verdict", "maybe"], "verdict='maybe' is none of its options"),
        (["--verdict", "go", "--set", "lr=fast"], "lr='fast' is no float"),
        (["--verdict", "go", "--set", "lr=nan"], "lr=nan is not finite"),
        (["--verdict", "go", "--set", "rate=1"], "it does not ask for rate"),
        (["--set", "lr=1"], "verdict is missing"),
        (["--verdict", "go", "--set", "lr"], "'lr' is not NAME=VALUE"),
        (["--verdict", "go", "--set", "verdict=no-go"], "verdict is given twice"),
        ([], "no terminal to ask at"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_question_stays_open(waiting, given, why):
    waiting()
    done = command("digits", *given)
    assert done.exit_code != 0
    assert why in done.output
    assert Run.open("digits").question is not None


def test_a_second_answer_and_a_run_that_does_not_ask_are_refused(waiting):
    waiting()
    waiting("over", epochs=1)
    command("digits", "--verdict", "go")
    second = command("digits", "--verdict", "no-go")
    assert second.exit_code == 1
    assert "waits for no answer: it was answered by" in second.output
    none = command("over", "--verdict", "go")
    assert none.exit_code == 1
    assert "'over' is finished and waits for no answer" in none.output


def test_the_runs_that_wait_are_listed(waiting):
    assert "No run waits" in command().output
    waiting("one")
    waiting("two")
    waiting("over", epochs=1)
    command("two", "--verdict", "go")
    [heading, listed] = command().output.splitlines()
    assert heading.split()[:2] == ["run", "project"]
    assert listed.startswith("one ")
    assert "Go on with the training?" in listed
    [told] = json.loads(command("--json").output)
    assert (told["run_id"], told["text"]) == ("one", "Go on with the training?")


def test_a_question_and_an_answer_are_told_to_programs(waiting):
    waiting()
    asked = json.loads(command("digits", "--json").output)
    assert [field["name"] for field in asked["fields"]] == ["verdict", "lr"]
    answered = json.loads(command("digits", "--verdict", "go", "--json").output)
    assert answered["values"] == {"verdict": "go"}
    shown = json.loads(CliRunner().invoke(main, ["show", "digits", "--json"]).output)
    assert shown["question"] is None
    assert shown["reviews"][0]["answer"]["values"] == {"verdict": "go"}


def test_show_tells_what_was_asked_and_answered(waiting):
    run = waiting()
    assert "not answered" in CliRunner().invoke(main, ["show", "digits"]).output
    run.answer("go", comment="Fine.", by="ada")
    shown = CliRunner().invoke(main, ["show", "digits"]).output
    assert "after epoch 1: Go on with the training? – verdict=go, by ada (python)" in shown
    assert "“Fine.”" in shown


def test_signs_that_steer_a_terminal_are_not_let_through(waiting):
    run = waiting()
    [path] = (run.folder / "reviews").glob("*.question.json")
    path.write_text(path.read_text().replace("Go on with the training?", "Go on?\\u001b[2J"))
    shown = CliRunner().invoke(main, ["show", "digits"]).output
    assert "Go on?\N{REPLACEMENT CHARACTER}[2J" in shown
    assert "\x1b" not in shown


def at_a_terminal(*typed):
    """What is shown where the command is run at a terminal, and lines are typed as it asks."""
    ours, theirs = pty.openpty()
    program = Path(sys.executable).parent / "burr-lightning"
    environment = {**os.environ, "COLUMNS": "90", "TERM": "xterm"}
    process = subprocess.Popen(
        [program, "review", "digits"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    os.write(ours, "".join(f"{line}\n" for line in typed).encode())
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # what Linux says when the other side has closed it
        pass
    os.close(ours)
    return process.wait(), shown.decode()


def test_at_a_terminal_it_shows_the_curve_and_asks(waiting):
    waiting()
    code, shown = at_a_terminal("maybe", "go", "fast", "go", "0.01", "It still learns.")
    assert code == 0, shown
    assert "val_loss" in shown
    assert "⠉" in shown  # a curve
    assert "Go on with the training?" in shown
    assert "'maybe' is not one of 'go', 'no-go'" in shown
    assert "lr='fast' is no float" in shown
    [asked] = Run.open("digits").reviews
    assert asked.answer.values == {"verdict": "go", "lr": 0.01}
    assert asked.answer.comment == "It still learns."


def test_whole_numbers_can_be_options(make_trainer):
    def layers(state, layers: Literal[1, 2]):
        return {"layers": layers}

    phases = ["train_epoch", "validate"]
    machine = (
        GraphBuilder()
        .with_actions(
            train_epoch=TrainEpoch(),
            validate=Validate(),
            ask=Call(layers, writes=["layers"]),
            best_model=BestModel(),
        )
        .with_transitions(
            ("train_epoch", "validate", VALIDATION_DUE),
            (phases, "ask", FINISHED),
            (phases, "train_epoch"),
            ("ask", "best_model"),
        )
        .build()
    )
    burr = BurrCallback(run_id="digits", machine=machine)
    make_trainer(burr, max_epochs=1).fit(ScriptedModule(val_loss=[0.5]), scripted_loader(), scripted_loader())
    code, shown = at_a_terminal("3", "2", "")
    assert code == 0, shown
    assert Run.open("digits").reviews[0].answer.values == {"layers": 2}


def test_curves_with_holes_and_infinities_are_shown(waiting):
    nan, inf = float("nan"), float("inf")
    waiting(val_loss=[nan, inf, 0.4], train_loss=[nan, nan, nan])
    code, shown = at_a_terminal("go", "", "")
    assert code == 0, shown
    assert "Run digits was answered" in shown
