"""What the README and the docs say is run."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from scripts import run_script

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(document, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.MULTILINE | re.DOTALL)


PYTHON = [
    pytest.param(code, id=f"{document.name}-{number}")
    for document in DOCUMENTS
    for number, code in enumerate(blocks(document, "python"))
]


@pytest.mark.parametrize("code", PYTHON)
def test_a_python_block_runs(code, tmp_path):
    script = tmp_path / "block.py"
    script.write_text(code)
    done = run_script(script, folder=tmp_path, search=[ROOT / "examples"])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("block", "target"), [(1, "demo"), (2, "test")])
def test_the_plain_lines_are_those_that_make_runs(block, target):
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", target]
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=outer)
    made = [line for line in done.stdout.splitlines() if not line.startswith("touch ")]
    assert blocks(ROOT / "README.md", "console")[block].splitlines() == made


def test_every_local_link_leads_somewhere():
    for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_state_keys_in_the_docs_are_those_of_the_state():
    from burr_lightning import state

    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "machine.md").read_text(), re.MULTILINE)
    keys = set(state.initial_state({}, None, None))
    assert keys == set(documented) & keys
    in_docstring = set(re.findall(r"^\| `(\w+)` \|", state.__doc__, re.MULTILINE))
    assert in_docstring == keys
