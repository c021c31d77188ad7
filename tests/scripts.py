"""Scripts, run as a user runs them but for the seconds of importing: in processes that have done it."""

import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

from forks import Child


def run_script(path, *arguments, folder=".", search=()):
    """Run a script as ``python path arguments...`` does.

    Args:
        path: The script.
        arguments: What stands behind it.
        folder: Where it runs.
        search: Folders of modules that it imports, beside its own.
    """
    out, err = Path("script-out.txt").absolute(), Path("script-err.txt").absolute()
    folders = [str(Path(path).parent), *map(str, search)]
    child = Child(_run, str(path), list(map(str, arguments)), str(folder), folders, (str(out), str(err)))
    child.rest()
    return subprocess.CompletedProcess([path, *arguments], child.ended(), out.read_text(), err.read_text())


def _run(path, arguments, folder, folders, files):
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.chdir(folder)
    sys.argv[:] = [path, *arguments]
    sys.path[:0] = folders
    # For a process of the script's own, that starts with what this one was told.
    os.environ["PYTHONPATH"] = os.pathsep.join(folders[1:])
    warnings.resetwarnings()
    runpy.run_path(path, run_name="__main__")
