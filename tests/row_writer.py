"""Writes rows of several runs, each in a process of its own, all at once.

The arguments are the persister's URL, how many rows, and the runs. The processes are forks of this one, which
begin together when it has made them all.
"""

import os
import sys
import traceback

from burr.core import State

from burr_lightning.persisters import PersisterUrl, connected
from burr_lightning.rows import StateRows
from burr_lightning.state import PhaseReport, initial_state, recorded


def write(url, run_id, count):
    rows = StateRows(connected(PersisterUrl.parse(url), run_id), "lightning", run_id)
    state = State(initial_state({}, "val_loss", None))
    for epoch in range(count):
        report = PhaseReport(epoch, 0, 9, epoch, {"val_loss": 1 / (epoch + 1)}, ends_epoch=True)
        state = recorded(state, report)
        rows.save(epoch, "validate", state)


if __name__ == "__main__":
    url, count, *runs = sys.argv[1:]
    waiting, begin = os.pipe()
    writers = []
    for run_id in runs:
        if (pid := os.fork()) == 0:
            os.close(begin)
            os.read(waiting, 1)
            try:
                write(url, run_id, int(count))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        writers.append(pid)
    os.close(begin)
    sys.exit(sum(os.waitpid(pid, 0)[1] != 0 for pid in writers))
