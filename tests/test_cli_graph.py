"""The diagram of a machine, from code and from a stored run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from burr.core import Condition
from click.testing import CliRunner
from exact_machines import after_epoch

from burr_lightning import BurrCallback, default_machine
from burr_lightning.cli import main
from burr_lightning.conditions import plateau
from burr_lightning.diagram import Diagram, Edge, Node
from burr_lightning.testing import ScriptedModule, scripted_loader

CODE = """
from burr_lightning import BurrCallback
from burr_lightning.conditions import plateau
from burr_lightning.machines import default_machine, rollback_on_divergence
from burr_lightning.conditions import not_finite

def machine():
    return rollback_on_divergence(not_finite("train_loss"), plateau("val_loss", 3))

made = default_machine()
burr = BurrCallback(stop_when=plateau("val_loss"))
number = 3
"""


@pytest.fixture(autouse=True)
def code(own_home):
    Path("mymachines.py").write_text(CODE)
    yield
    sys.modules.pop("mymachines", None)


def drawn(*arguments):
    done = CliRunner().invoke(main, ["graph", *arguments])
    return done.exit_code, done.output


def test_a_machine_is_drawn_as_mermaid_text():
    code, said = drawn("mymachines:made")
    assert code == 0
    assert said.splitlines() == [
        "flowchart TD",
        '    process_data["process_data"]',
        '    train_epoch[["train_epoch"]]',
        '    validate[["validate"]]',
        '    best_model(["best_model"])',
        "    start((start)) --> process_data",
        '    process_data -- "finished=True" --> best_model',
        "    process_data --> train_epoch",
        '    train_epoch -- "validation_due=True" --> validate',
        '    train_epoch -- "finished=True" --> best_model',
        '    validate -- "finished=True" --> best_model',
        "    train_epoch --> train_epoch",
        "    validate --> train_epoch",
    ]


@pytest.mark.parametrize(
    ("name", "shown"), [("machine", "rollback"), ("burr", "plateau(val_loss, patience=3)")]
)
def test_a_function_and_a_callback_are_drawn_too(name, shown):
    code, said = drawn(f"mymachines:{name}")
    assert code == 0
    assert shown in said


def test_the_machine_of_a_stored_run_is_the_one_that_trained_it(make_trainer):
    burr = BurrCallback("stored", stop_when=plateau("val_loss", 4))
    make_trainer(burr, max_epochs=1).fit(ScriptedModule(val_loss=[0.5]), scripted_loader(), scripted_loader())
    code, said = drawn("stored")
    assert code == 0
    assert sorted(said.splitlines()) == sorted(
        Diagram.of(default_machine(plateau("val_loss", 4))).mermaid().splitlines()
    )


def test_a_run_that_was_not_tracked_says_what_to_do(make_trainer):
    burr = BurrCallback("stored", tracker=False)
    make_trainer(burr, max_epochs=1).fit(ScriptedModule(val_loss=[0.5]), scripted_loader(), scripted_loader())
    code, said = drawn("stored")
    assert code == 1
    assert "burr-lightning graph train:machine" in said


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nosuch:machine", "there is no module 'nosuch'"),
        (
            "mymachines:nosuch",
            "the module has no 'nosuch'. It has BurrCallback, burr, default_machine, machine, made",
        ),
        ("mymachines:number", "machine=3): a machine is a Burr Graph"),
        ("nosuch", "nosuch"),
    ],
)
def test_what_is_no_machine_is_refused(what, said):
    code, output = drawn(what)
    assert code == 1
    assert said in output


def test_a_file_of_an_unknown_kind_is_refused():
    code, said = drawn("mymachines:made", "-o", "machine.gif")
    assert code == 2
    assert ".mmd, .dot, .svg, .png, .pdf" in said


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
@pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")
def test_a_picture_is_drawn_with_graphviz(kind):
    code, said = drawn("mymachines:machine", "-o", f"machine.{kind}")
    assert (code, said) == (0, "")
    beginning = Path(f"machine.{kind}").read_bytes()[:8]
    assert beginning.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[kind])


def test_without_graphviz_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.setenv("PATH", "")
    code, said = drawn("mymachines:made", "-o", "machine.svg")
    assert code == 1
    assert "apt-get install graphviz" in said
    assert drawn("mymachines:made", "-o", "machine.mmd")[0] == 0
    assert Path("machine.mmd").read_text().startswith("flowchart TD")


def test_names_and_conditions_that_mean_something_to_the_languages_are_escaped():
    nodes = [Node("end", False), Node('say "hi" | <b>', True)]
    diagram = Diagram(
        "end", nodes, [Edge("end", nodes[1].name, Condition.expr('x > 1 and y == "a\\\\b"').name)]
    )
    lines = diagram.mermaid().splitlines()
    assert lines[1] == '    action_0["end"]'
    assert lines[2] == '    action_1[["say #quot;hi#quot; | #lt;b#gt;"]]'
    assert '"' not in lines[4].removeprefix('    action_0 -- "').removesuffix('" --> action_1')
    if shutil.which("dot"):
        svg = subprocess.run(["dot", "-Tsvg"], input=diagram.dot().encode(), capture_output=True, check=True)
        assert b"say &quot;hi&quot; | &lt;b&gt;" in svg.stdout
    assert after_epoch(1).name in Diagram("a", [Node("a", True)], [Edge("a", "a", after_epoch(1).name)]).dot()
