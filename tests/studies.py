"""Studies to look at: real ones that take no time, and ledgers with all that can happen to a trial."""

import math
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from burr.core import State
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from burr_lightning.errors import NoTrialFinishedError
from burr_lightning.tuning import Ledger, Study
from burr_lightning.tuning.reading import StudyReader
from burr_lightning.tuning.scores import Scores

SPACE = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "width": IntDistribution(8, 512, log=True),
    "dropout": FloatDistribution(0.0, 0.8),
    "kind": CategoricalDistribution(["sgd", "adam", "adamw", "rmsprop"]),
    "bias": CategoricalDistribution([True, False]),
}
MANY = {
    **{f"a_parameter_with_a_long_name_{number}": FloatDistribution(0.0, 1.0) for number in range(11)},
    "kind": CategoricalDistribution([f"choice-with-a-long-name-{number}" for number in range(30)]),
}
BEGAN = 1_700_000_000.0


def search(run_id="search", fn=None, **options):
    """A study that is not run yet."""
    given = {
        "space": SPACE,
        "sampler": RandomSampler(),
        "n_trials": 6,
        "seed": 1,
        "executor": ThreadPoolExecutor(options.get("parallel", 1)),
        "tracker": False,
        **options,
    }
    return Study(fn or (lambda trial: abs(math.log10(trial.params["lr"]) + 3)), run_id=run_id, **given)


def all_fail(trials):
    """A study of which nothing came."""
    with pytest.raises(NoTrialFinishedError):
        search(fn=lambda trial: None, n_trials=trials).run()


def fails_at_2(trial):
    """An objective that fails once."""
    if trial.number == 2:
        raise ZeroDivisionError("no data\nat all")
    return float(trial.number)


class Told(StudyReader):
    """A study of which only a ledger is there."""

    def __init__(self, ledger, space, run_id="told", stop_reason=None, *, is_run=False):
        self.run_id, self._ledger, self._space = run_id, ledger, space
        self._reason, self._is_run = stop_reason, is_run

    @property
    def state(self):
        return State({"ledger": self._ledger, "stop_reason": self._reason})

    @property
    def space(self):
        return self._space

    @property
    def monitor(self):
        return "val_loss"

    @property
    def scores(self):
        return Scores(Path("no-scores.jsonl"))

    @property
    def is_run(self):
        return self._is_run


def told(trials, space=SPACE, *, workers=4, several=False, named=True, pause=0.0, worst=None, is_run=False):
    """A study of so many trials, some of which were pruned, failed, were lost or run.

    Args:
        trials: How many.
        space: Their parameters.
        workers: Who runs them.
        several: Whether there are two directions.
        named: Whether it is known which worker ran what.
        pause: Seconds in the middle in which nothing runs.
        worst: What some trials come to, that are far off.
        is_run: Whether a process runs it.
    """
    chance = random.Random(0)
    ledger = Ledger(["min", "max"] if several else ["min"])
    free = [0.0] * workers
    for number in range(trials):
        params = {name: _drawn(chance, distribution) for name, distribution in space.items()}
        ledger = ledger.suggested(params, f"told-{number}")
        if number == trials // 2:
            free = [max(free) + pause] * workers
        slot = free.index(min(free))
        worker, at = f"slot {slot}" if named else None, BEGAN + free[slot] + 1
        ledger = ledger.launched(number, at=at, worker=worker)
        if number % 11 == 5:
            ledger, at = ledger.set_back(number, "RuntimeError: it died", died=True), at + 7
            ledger = ledger.launched(number, at=at, worker=worker)
        ended = at + chance.uniform(20, 60)
        free[slot] = ended - BEGAN
        if number < trials - 2 or trials < 4:
            ledger = _ended(ledger, number, ended, worst if worst and number % 7 == 3 else None)
    return Told(ledger, space, stop_reason="because " * 40, is_run=is_run)


def _ended(ledger, number, at, worst):
    if number % 9 == 4:
        return ledger.ended(number, "failed", at=at, reason="ValueError: no")
    value = 1 / (number + 2) if worst is None else worst
    status = "pruned" if number % 4 == 1 else "finished"
    values = [value, -value] if len(ledger.directions) > 1 else [value]
    return ledger.ended(number, status, at=at, values=values, step=3, reason="for a test")


def _drawn(chance, distribution):
    if isinstance(distribution, CategoricalDistribution):
        return chance.choice(distribution.choices)
    if distribution.log:
        drawn = math.exp(chance.uniform(math.log(distribution.low), math.log(distribution.high)))
        return int(drawn) if isinstance(distribution, IntDistribution) else drawn
    return chance.uniform(distribution.low, distribution.high)
