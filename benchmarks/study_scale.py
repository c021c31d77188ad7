"""What one study process can keep up with: many workers and many trials that take no time.

A made executor stands in for the workers. It has a clock of its own: a trial ends when all that end before
it have ended, and nothing sleeps. So what is measured is the study's own work: suggest, launch, wait, record,
the rows, Burr's tracker.

python benchmarks/study_scale.py --workers 1000 --trials 100000
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import FloatDistribution

from burr_lightning.tuning import Study
from burr_lightning.tuning.outcomes import Outcome

SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
}
SECONDS = (300.0, 900.0)
"""How long a trial takes by the made clock."""


class MadeWorkers(Executor):
    """Workers that are busy for a made time.

    Args:
        workers: How many.
        trials: How many trials come in all.
    """

    def __init__(self, workers: int, trials: int) -> None:
        self._workers, self._to_come = workers, trials
        self._random, self._now = random.Random(0), 0.0
        self._busy: list[tuple[float, int, Future[Outcome]]] = []
        self.began = time.perf_counter()
        self.marks: list[float] = []
        """When each trial was handed in, by the real clock."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Be busy with a trial; where all are, the first one to be free is."""
        self.marks.append(time.perf_counter() - self.began)
        future: Future[Outcome] = Future()
        self._to_come -= 1
        heapq.heappush(self._busy, (self._now + self._random.uniform(*SECONDS), args[0].number, future))
        if self._to_come == 0:
            while self._busy:
                self._end_one()
        elif len(self._busy) == self._workers:
            self._end_one()
        return future

    def _end_one(self) -> None:
        self._now, number, future = heapq.heappop(self._busy)
        future.set_result(Outcome(number, "finished", self._now, [self._random.random()]))


def objective(trial: Any) -> float:
    """Never called: the workers are made."""
    raise NotImplementedError


def measure(sampler: str, workers: int, trials: int, *, tracker: bool) -> dict[str, Any]:
    """Run one study, and say what it took."""
    made = MadeWorkers(workers, trials)
    space = {name: FloatDistribution(1e-5, 1.0, log=True) for name in ("a", "b", "c", "d")}
    options: dict[str, Any] = {"n_trials": trials, "parallel": workers, "run_id": "scale", "seed": 0}
    Study(objective, space, sampler=SAMPLERS[sampler](), executor=made, tracker=tracker, **options).run()
    seconds = time.perf_counter() - made.began
    before = time.perf_counter()
    stored = Study.open("scale")
    assert len(stored.trials) == trials
    opened = time.perf_counter() - before
    return {
        "sampler": sampler,
        "workers": workers,
        "trials": trials,
        "tracker": tracker,
        "seconds": seconds,
        "trials_per_second": trials / seconds,
        "made_hours": made._now / 3600,
        "ms_per_trial": {f"around {at}": _around(made.marks, at) for at in (10, 100, 1000, 10_000, 100_000)},
        "largest_row_bytes": _largest_row(),
        "mib": {name: round(size / 2**20, 1) for name, size in _sizes().items()},
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "open_seconds": opened,
    }


def _around(marks: list[float], trial: int) -> float | None:
    """Milliseconds for a trial, over the tenth of them that ends there."""
    last = min(trial, len(marks)) - 1
    first = last - max(trial // 10, 5)
    return None if trial > len(marks) * 1.01 else 1000 * (marks[last] - marks[first]) / (last - first)


def _largest_row() -> int:
    with closing(sqlite3.connect(Path(os.environ["BURR_LIGHTNING_HOME"]) / "state.sqlite")) as rows:
        return int(rows.execute("SELECT MAX(LENGTH(state)) FROM burr_state").fetchone()[0])


def _sizes() -> dict[str, int]:
    database = Path(os.environ["BURR_LIGHTNING_HOME"]) / "state.sqlite"
    log = Path.home() / ".burr" / "lightning" / "scale" / "log.jsonl"
    return {path.name: path.stat().st_size for path in (database, log) if path.exists()}


def main() -> None:
    """Measure, and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sampler", choices=SAMPLERS, default="random")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--no-tracker", action="store_true", help="without Burr's tracker")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(HOME=home, BURR_LIGHTNING_HOME=f"{home}/runs")
        found = measure(options.sampler, options.workers, options.trials, tracker=not options.no_tracker)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
