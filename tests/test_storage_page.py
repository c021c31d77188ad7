"""The commands on the page about storage, one after the other, on the run that the page trains."""

import re
import shlex
from pathlib import Path

from click.testing import CliRunner
from scripts import run_script

from burr_lightning import list_runs
from burr_lightning.cli import main

PAGE = Path(__file__).parent.parent / "docs" / "storage.md"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_every_command_does_what_the_page_says(own_home):
    [script] = blocks("python")
    Path("train.py").write_text(script)
    assert run_script("train.py").returncode == 0
    said = {}
    for line in "".join(blocks("console")).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "burr-lightning"
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, line + done.output
        said[line] = done.stdout
    assert Path("epoch-3.pt").exists()
    assert len(Path("regression.csv").read_text().splitlines()) == 7
    assert "files deleted, which freed" in said["burr-lightning prune regression --keep-last 1 --yes"]
    assert "There is nothing to free." not in said["burr-lightning prune regression --keep-last 1"]
    assert list_runs() == []
