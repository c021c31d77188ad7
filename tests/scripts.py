"""Scripts and commands, run as a user runs them but for the seconds of importing.

They are in processes that have done that.
"""

import multiprocessing.process
import os
import runpy
import secrets
import subprocess
import sys
import warnings
from pathlib import Path

from forks import Child

_TESTS = Path(__file__).parent


def run_script(path, *arguments, folder=".", search=()):
    """Run a script as ``python path arguments...`` does.

    Args:
        path: The script.
        arguments: What stands behind it.
        folder: Where it runs.
        search: Folders of modules that it imports, beside its own.
    """
    own = Path(folder, path).parent
    return _run(_script, [path, *arguments], folder, [own, *search])


def run_command(*arguments, folder="."):
    """Run ``burr-lightning arguments...`` in a folder."""
    return _run(_command, ["burr-lightning", *arguments], folder, [])


def _run(run, words, folder, search):
    out, err = Path("script-out.txt").absolute(), Path("script-err.txt").absolute()
    child = Child(run, list(map(str, words)), str(folder), list(map(str, search)), (str(out), str(err)))
    child.rest()
    return subprocess.CompletedProcess(words, child.ended(), out.read_text(), err.read_text())


def _script(words, folder, search, files):
    sys.path[:0] = search
    # For a process of the script's own, that starts with what this one was told.
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*search[1:], *([known] if known else [])])
    _as_started(words, folder, files)
    for name, module in list(
        sys.modules.items()
    ):  # a module of the script's own may be called as one of ours
        if Path(getattr(module, "__file__", None) or "/").parent == _TESTS:
            del sys.modules[name]
    runpy.run_path(words[0], run_name="__main__")


def _command(words, folder, search, files):
    _as_started(words, folder, files)
    from burr_lightning.cli import main

    main(prog_name=words[0])


def _as_started(words, folder, files):
    """Make this process one that a shell has started: a run that it trains can be started again."""
    from burr_lightning import launch

    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.chdir(folder)
    sys.argv[:] = words
    sys.orig_argv[:] = [sys.executable, *words]
    multiprocessing.process._parent_process = None
    multiprocessing.context._default_context._actual_context = None
    multiprocessing.process.ORIGINAL_DIR = os.getcwd()
    launch._FOLDER, launch._PROCESS = os.getcwd(), secrets.token_hex(8)
    warnings.resetwarnings()
