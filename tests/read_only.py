"""Commands that run while a folder cannot be written, whoever runs the tests."""

import os
import stat
import subprocess
from contextlib import contextmanager

from at_work import CLI, DEADLINE

_WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
"""Permissions do not bite root, unless it starts a program without root's rights."""


@contextmanager
def read_only(folder):
    """Nothing in a folder can be written by a command that `cli` runs."""
    modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
    for path, mode in modes.items():
        path.chmod(stat.S_IMODE(mode) & 0o555)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(stat.S_IMODE(mode))


def cli(*arguments):
    """Run a command of ours without rights, in a process of its own."""
    command = [*_WITHOUT_RIGHTS, *CLI, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
