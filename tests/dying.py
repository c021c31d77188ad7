"""Dies by SIGKILL at its n-th touch of the queue, doing what a process of the queue does.

python dying.py N submit RUN COMMAND...
python dying.py N keep JOB
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path

from burr_lightning.layout import home
from burr_lightning.scheduling.jobs import Queue
from burr_lightning.scheduling.lease import taken
from burr_lightning.scheduling.submitting import submit
from burr_lightning.scheduling.watching import Watch

_TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "subprocess.Popen"}


def die_at(last):
    """Die at that touch, 1-based."""
    points = count(1)

    def touched(event, arguments):
        ours = event == "subprocess.Popen" or (event in _TOUCHES and ".queue" in str(arguments[0]))
        if ours and next(points) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touched)


def main(last, what, *arguments):
    die_at(int(last))
    root = home(None)
    if what == "submit":
        submit(arguments[1:], root, run_id=arguments[0])
        return
    folder = Queue(Path(root)).folder(arguments[0])
    lease = taken(folder.lease)
    assert lease is not None
    with lease:
        Watch(folder, 0, anew=False).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
