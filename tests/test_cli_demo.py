"""`burr-lightning demo`, as somebody who has just installed it runs it."""

import os
import signal
import subprocess
import sys

import pytest
from at_work import CLI, DEADLINE, Lines
from stepped import CAN_MOUNT, where_it_is_read_only

from burr_lightning import Run
from burr_lightning.cli.demo import demo_script


def test_it_trains_draws_and_says_what_to_look_at(own_home, monkeypatch):
    monkeypatch.delenv("BURR_LIGHTNING_HOME")
    done = subprocess.run([*CLI, "demo"], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    run = Run.open("quickstart", root_dir=own_home / "burr_runs")
    assert run.status == "finished"
    assert max(run.history["val_acc"]) > 0.97
    assert (own_home / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    *_, script = done.stdout.splitlines()
    assert script == f"The script, to read and to change: {demo_script()}"
    for line in done.stdout.split("Look at it:\n")[1].splitlines()[:-1]:
        words = line.split("  ")[1].split()
        assert words[0] == "burr-lightning"
        if words[1] != "ui":
            looked = subprocess.run([*CLI, *words[1:]], capture_output=True, timeout=DEADLINE, check=False)
            assert looked.returncode == 0, looked.stderr


def test_ctrl_c_ends_the_script_and_it_goes_on_when_it_is_started_again(own_home):
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    place = own_home / "elsewhere"
    with subprocess.Popen([*CLI, "demo", "--root-dir", place], start_new_session=True, **pipes) as process:
        Lines(process.stderr.fileno()).until("Run 'quickstart' of project 'digits' starts.")
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
        code = process.wait(DEADLINE)
    assert code != 0
    assert Run.open("quickstart", root_dir=place).status == "interrupted"


def test_without_the_extra_it_says_what_to_install():
    code = "import sys; sys.modules['sklearn'] = None; from burr_lightning.cli import main; main(['demo'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'burr-lightning[demo]'.")


@pytest.mark.skipif(not CAN_MOUNT, reason="folders cannot be mounted here")
def test_where_nothing_can_be_written_it_says_so_at_once(own_home):
    command = where_it_is_read_only(own_home, [*CLI, "demo"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"Error: burr-lightning demo writes here, and {own_home} cannot be written.\n"
