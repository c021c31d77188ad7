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

def callback():
    return burr

def with_rate(rate):
    return made

def breaks():
    raise ValueError("no data\\nhere.")

def refused():
    return BurrCallback(machine=3)
"""


@pytest.fixture(autouse=True)
def code(own_home):
    Path("mymachines.py").write_text(CODE)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("mymachines", "trainx", "mypackage")):
            del sys.modules[name]


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
    ("name", "shown"),
    [
        ("machine", "rollback"),
        ("burr", "plateau(val_loss, patience=3)"),
        ("callback", "plateau(val_loss, patience=3)"),
    ],
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
            "the module has no 'nosuch'. It has BurrCallback, breaks, burr, callback, default_machine, ",
        ),
        ("mymachines:number", "this is 3, and no Burr Graph, function that returns one, or BurrCallback."),
        ("nosuch", "nosuch"),
        (":machine", "write MODULE:NAME, as train:machine"),
        ("mymachines:", "write MODULE:NAME"),
        (".mymachines:made", "write MODULE:NAME"),
        ("my machines:made", "write MODULE:NAME"),
        (
            "mymachines:with_rate",
            "raised TypeError: with_rate() missing 1 required positional argument: 'rate'.",
        ),
        ("mymachines:breaks", "called without arguments, it raised ValueError: no data here."),
    ],
)
def test_what_is_no_machine_is_refused(what, said):
    code, output = drawn(what)
    assert code == 1
    assert said in output
    assert output.startswith("Error: ")
    assert len(output.splitlines()) == 1


def test_what_this_library_says_of_a_machine_is_handed_on_as_it_is():
    assert drawn("mymachines:refused")[1].startswith(
        "Error: BurrCallback(machine=3): a machine is a Burr Graph"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import tr",
            "its import raised ModuleNotFoundError: No module named 'tr'. python -c 'import trainx'",
        ),
        ("import trainx.more", "its import raised ModuleNotFoundError: No module named 'trainx.more'"),
        (
            "1 / 0",
            "its import raised ZeroDivisionError: division by zero. python -c 'import trainx' shows where.",
        ),
        ("def broken(", "its import raised SyntaxError: "),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_from_one_that_is_not_there(code, said):
    Path("trainx.py").write_text(code)
    exit_code, output = drawn("trainx:machine")
    assert exit_code == 1
    assert said in output
    assert "there is no module" not in output
    assert len(output.splitlines()) == 1


def test_of_a_module_in_a_package_the_part_that_is_missing_is_named():
    Path("mypackage").mkdir()
    Path("mypackage/here.py").write_text(CODE)
    assert drawn("mypackage.here:made")[0] == 0
    assert "there is no module 'mypackage.gone', neither" in drawn("mypackage.gone:made")[1]
    assert "there is no module 'mypackag', neither" in drawn("mypackag.here:made")[1]


@pytest.mark.parametrize("name", ["machine.svg", "machine.mmd", "machine.dot"])
def test_a_file_in_a_folder_that_is_not_there_is_refused(name):
    code, said = drawn("mymachines:made", "-o", f"nodir/{name}")
    assert code == 2
    assert f"nodir/{name}: there is no folder nodir." in said


def test_a_file_that_cannot_be_written_is_an_error_in_one_line(monkeypatch):
    def full(self, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    code, said = drawn("mymachines:made", "-o", "machine.mmd")
    assert code == 1
    why = "it cannot be written ([Errno 28] No space left on device)."
    assert said == f"Error: burr-lightning graph -o machine.mmd: {why}\n"


def test_what_dot_says_is_handed_on(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "dot"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Error: cannot\nopen it' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    code, said = drawn("mymachines:made", "-o", "machine.svg")
    assert code == 1
    assert said == "Error: burr-lightning graph -o machine.svg: dot ended with 3: Error: cannot open it\n"


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


def test_the_language_of_graphviz():
    nodes = [Node("begin", False), Node("train", True), Node('the "end"', False)]
    edges = [Edge("begin", "train", ""), Edge("train", nodes[2].name, "name == 'a\\b' and \"c\"")]
    assert Diagram("begin", nodes, edges).dot().splitlines() == [
        "digraph machine {",
        "    rankdir=TB; node [fontname=Helvetica]; edge [fontname=Helvetica, fontsize=10];",
        '    "__start" [shape=point, width=0.15, label=""];',
        '    "begin" [shape=box, style="rounded"];',
        '    "train" [shape=box, style="filled,rounded", fillcolor="#dbe9f6", peripheries=2];',
        r'    "the \"end\"" [shape=oval, style="rounded"];',
        '    "__start" -> "begin";',
        '    "begin" -> "train";',
        r"""    "train" -> "the \"end\"" [label="name == 'a\\b' and \"c\""];""",
        "}",
    ]


def test_two_actions_never_share_an_identifier():
    names = ["a b", "action_0", "end", "action_2", "c"]
    diagram = Diagram("c", [Node(name, False) for name in names], [Edge("action_0", "a b", "")])
    lines = diagram.mermaid().splitlines()
    assert [line.strip() for line in lines[1:6]] == [
        *('action_1(["a b"])', 'action_0["action_0"]', 'action_3(["end"])'),
        *('action_2(["action_2"])', 'c(["c"])'),
    ]
    assert lines[-1] == "    action_0 --> action_1"
