"""The scripts of the exactness tests on two processes: one interrupts the training, and both go on."""

import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from exact_data import DATA
from exact_machines import MACHINES
from exact_trainings import TRAININGS
from exactness import SEED, Interrupted, InterruptedAt, run
from forks import tell
from ranked import Ranked

from burr_lightning.errors import RankFailedError, RankLostError

_ALL = TRAININGS | DATA | MACHINES
CASES = {name: case for name, case in _ALL.items() if name != "reviewed_between_batches"}
"""But for one that validates after more batches than an epoch has for each of two."""
_LEAVE_SOME_OUT = (CASES["two_optimizers_by_hand"], CASES["staged_by_methods_and_optimized_by_hand"])
"""Those with passes backward that do not come to every parameter."""


def ending(name, seed, interrupted, by, home, spread=None):
    """Run a script on this rank, and tell how that ended.

    Args:
        name: The script.
        seed: Its seed.
        interrupted: An epoch in which the training is interrupted, ``None`` for none.
        by: Which rank interrupts it, and how.
        home: Where its runs are.
        spread: Gives a script as it is on several processes; ``None`` is `on_two`.
    """
    rank, how = by
    here = int(os.environ["RANK"])
    os.environ["BURR_LIGHTNING_HOME"] = str(home)
    folder = Path(home) / f"rank-{here}"
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # each has its own notes
    event = InterruptedAt(interrupted, how, nth=2) if interrupted is not None and here == rank else None
    # What torch raises where a process is gone is a RuntimeError.
    with suppress(*((Interrupted, RankFailedError, RankLostError, RuntimeError) if interrupted else ())):
        tell("ended", run((spread or on_two)(CASES[name]), "run", seed=seed, interrupted=event))
        return
    tell("interrupted")


def on_two(case):
    """A script as it is, but for its strategy."""

    def write():
        script = case.write()
        strategy = "ddp_find_unused_parameters_true" if case in _LEAVE_SOME_OUT else "ddp"
        script.trainer |= {"strategy": strategy, "devices": 2}
        log = script.module.log
        # A schedule that looks at a metric needs the same one on each rank, with Lightning alone too.
        script.module.log = lambda *given, **options: log(*given, **{"sync_dist": True, **options})
        return script

    return replace(case, write=write)


def ends(name, home, seed=SEED, interrupted=None, by=(0, "exception"), spread=None):
    """How a script ends on two processes, on each; ``None`` where it is interrupted."""
    ranks = Ranked(2, ending, name, seed, interrupted, by, str(home), spread)
    statuses, told = ranks.ended()
    killed = interrupted is not None and by[1] == "SIGKILL"
    expected = [-signal.SIGKILL if killed and rank == by[0] else 0 for rank in range(2)]
    if statuses != expected:
        return [f"ended with {statuses}:\n{ranks[0].printed[-2000:]}\n{ranks[1].printed[-2000:]}"] * 2
    return [facts[1] if facts and facts[0] == "ended" else None for facts in told]
