"""The commands as a whole: the page that lists them, what their help costs, and how they end."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from at_work import CLI, DEADLINE

from burr_lightning.cli import main

PAGE = (Path(__file__).parent.parent / "docs" / "commands.md").read_text()
ROWS = {
    cells[0].strip("` "): cells[1:]
    for cells in re.findall(r"^\| (`[\w ]+`) \| (.+?) \| (\w+) \| (.+?) \|$", PAGE, re.M)
}


def all_commands(group):
    """Every command by what is typed for it, those of groups as well."""
    found = {}
    for name, command in group.commands.items():
        inside = all_commands(command) if isinstance(command, click.Group) else None
        found |= {f"{name} {rest}": each for rest, each in inside.items()} if inside else {name: command}
    return found


COMMAND_OF = all_commands(main)
COMMANDS = sorted(COMMAND_OF)
HEAVY = (
    "torch",
    "lightning",
    "burr",
    "numpy",
    "pandas",
    "matplotlib",
    "plotext",
    "sklearn",
    "fastapi",
    "sqlite3",
    "optuna",
)


def test_the_page_has_every_command_and_no_other():
    assert sorted(ROWS) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_its_row_says_whether_it_prints_json(command):
    options = [name for parameter in COMMAND_OF[command].params for name in parameter.opts]
    assert ROWS[command][1] == ("yes" if "--json" in options else "no")


@pytest.mark.parametrize("command", COMMANDS)
def test_its_row_has_the_exit_codes_of_its_help(command):
    said = re.sub(r".*Exit codes:", "", COMMAND_OF[command].help, flags=re.DOTALL)
    codes = (
        re.findall(r"^\s*(\d+)  ", said, re.MULTILINE) if "Exit codes:" in COMMAND_OF[command].help else []
    )
    assert set(codes) <= set(re.findall(r"\b\d+\b", ROWS[command][2]))
    assert re.match(r"0\b|those of", ROWS[command][2])


@pytest.mark.parametrize("command", COMMANDS)
def test_everything_is_explained(command):
    found = COMMAND_OF[command]
    assert found.help
    assert all(option.help for option in found.params if isinstance(option, click.Option))


def test_help_imports_nothing_heavy():
    """All commands in one process: what none of them imports, each of them does without."""
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom burr_lightning.cli import main\n"
        f"for words in [['--help'], *([*name.split(), '--help'] for name in {COMMANDS})]:\n"
        "    done = CliRunner().invoke(main, words)\n"
        "    assert done.exit_code == 0 and done.stdout.startswith('Usage:'), words\n"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "\n"


def test_help_is_a_fraction_of_what_is_installed():
    """Few modules are a fast start, on every machine: importing torch and Lightning alone takes thousands."""
    count = "import sys\nfrom burr_lightning.cli import main\nprint(len(sys.modules))"
    done = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 400


def test_ctrl_c_has_a_code_of_its_own(own_home):
    folder = own_home / "runs/lightning/a"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "run.json")  # whoever reads it waits
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*CLI, "runs"], **pipes) as process:
        descriptor = os.open(folder / "run.json", os.O_WRONLY)  # as soon as it is read
        process.send_signal(signal.SIGINT)
        os.close(descriptor)
        code = process.wait(DEADLINE)
        assert b"Traceback" not in process.stderr.read()
    assert code == 130
