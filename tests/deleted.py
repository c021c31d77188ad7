"""Deletes a run or a study, and dies at a touch of its files: what a process of the tests does."""

import os
import signal
import sys
from itertools import count

from click.testing import CliRunner
from forks import tell

from burr_lightning.cli import main

_TOUCHES = {"os.rename", "os.remove", "os.rmdir", "sqlite3.connect"}


def delete(run_id, home, dies_at=None, command=("delete",)):
    """Delete a run; the process kills itself at one touch of something under ``home``, counted from 1."""
    points = count(1)

    def touched(event, arguments):
        if event not in _TOUCHES:
            return
        place = str(arguments[0]).removeprefix("file://")
        if place.startswith(str(home)) and next(points) == dies_at:
            tell("dies", event, place)
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)
    done = CliRunner().invoke(main, [*command, run_id, "--yes"])
    tell("done", done.exit_code, done.output, next(points) - 1)
