"""The process between a worker and a job's command: it holds the lease and writes down how the command ended.

It is a process of its own so that a worker that is killed takes nothing with it: the command runs on, no
other worker starts it meanwhile, and its end is known.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .jobs import JobFolder
from .lease import Lease, say_who
from .watching import Watch

_KEEPER = f"""import sys
sys.path[:] = [place for place in sys.path if place] + [sys.argv.pop(1)]
from {__name__} import main
main(*sys.argv[1:])
"""
"""Not ``-m``, which looks in the worker's folder first: the user's queue.py there would hide Python's."""


def begun(folder: JobFolder, lease: Lease, progress: int, *, anew: bool) -> subprocess.Popen[bytes]:
    """Start a process that runs a job's command once; the lease goes over to it.

    Args:
        folder: The job.
        lease: Its lease.
        progress: How far its runs are committed.
        anew: Whether a human had a say since the attempt before.
    """
    told = [str(lease.descriptor), str(progress), "anew" if anew else "again"]
    place = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", _KEEPER, place, str(folder.path), *told]
    with lease, open(folder.log, "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lease.descriptor,),
            start_new_session=True,  # Ctrl-C in the worker's terminal is for the worker alone
        )


def main(path: str, lease: str, progress: str, how: str) -> None:
    """Look after one start of a command."""
    say_who(int(lease))
    Watch(JobFolder(Path(path)), int(progress), anew=how == "anew").run()
