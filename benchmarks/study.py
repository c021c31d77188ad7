"""What a study costs beside its trials, and how busy it keeps its workers; Optuna's own `optimize` beside it.

python benchmarks/study.py            both parts
python benchmarks/study.py --trials 10000 --optuna 1000 --busy 0

Own cost: an objective that returns at once, a random sampler, rows in SQLite, Burr's tracker on; Optuna with
its SQLite storage. Milliseconds for a trial, over the tenth of them that ends at the trial named.

Busy: trials that work for two seconds each in local processes. The share of the workers' time, from the first
trial's first line to the last one's end, in which an objective runs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
from measured import Measured, in_turn, medians, ratios, scratch
from optuna.distributions import FloatDistribution

from burr_lightning.tuning import Study, Trial

SPACE = {name: FloatDistribution(1e-5, 1.0, log=True) for name in ("a", "b", "c", "d")}


class AtOnce(Executor):
    """Runs a call when it is handed in."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it here and now."""
        self.marks.append(time.perf_counter())
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def first_parameter(trial: Trial) -> float:
    """Nothing but a value."""
    return float(trial.params["a"])


def ours(trials: int, folder: Path) -> list[float]:
    """When each trial of a study began."""
    made = AtOnce()
    sampler = optuna.samplers.RandomSampler()
    options: dict[str, Any] = {"n_trials": trials, "run_id": "cost", "root_dir": folder}
    Study(first_parameter, SPACE, sampler=sampler, executor=made, **options).run()
    return made.marks


def optunas(trials: int, folder: Path) -> list[float]:
    """When each trial of Optuna's own began."""
    marks: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        marks.append(time.perf_counter())
        return min(trial.suggest_float(name, 1e-5, 1.0, log=True) for name in SPACE)

    storage = f"sqlite:///{folder}/optuna.sqlite"
    optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler()).optimize(
        objective, n_trials=trials
    )
    return marks


def around(marks: list[float], trial: int) -> str:
    """Milliseconds for a trial there."""
    if trial > len(marks):
        return "-"
    first = trial - 1 - max(trial // 10, 5)
    return f"{1000 * (marks[trial - 1] - marks[first]) / (trial - 1 - first):.2f}"


def works(trial: Trial) -> float:
    """Keep a core busy for a while, by the clock of the process, so that a slow machine works longer."""
    began = time.time()
    until = time.process_time() + trial.params["seconds"]
    while time.process_time() < until:
        pass
    return time.time() - began


def busy(trials: int, seconds: float, workers: int) -> tuple[float, float]:
    """The share of the workers' time in which objectives ran, and the milliseconds between two of them."""
    space = {"seconds": FloatDistribution(seconds, 2 * seconds)}
    options: dict[str, Any] = {"n_trials": trials, "parallel": workers, "run_id": "busy", "seed": 0}
    study = Study(works, space, sampler=optuna.samplers.RandomSampler(), **options).run()
    # The first of each worker wait for the fork server, which imports Lightning once.
    over = sorted((trial for trial in study.trials if trial.ended), key=lambda trial: trial.ended or 0.0)
    began = min((each.ended or 0.0) - (each.value or 0.0) for each in over)
    lanes: dict[str, list[tuple[float, float]]] = {}
    for each in over:
        ended = each.ended or 0.0
        lanes.setdefault(str(each.place), []).append((ended - (each.value or 0.0), ended))
    gaps = [after[0] - before[1] for lane in lanes.values() for before, after in pairwise(lane)]
    # Until the first lane has nothing more to do: the last trials of a study cannot keep all workers busy.
    until = min(lane[-1][1] for lane in lanes.values())
    ran = sum(min(last, until) - first for lane in lanes.values() for first, last in lane if first < until)
    return ran / (workers * (until - began)), 1000 * sum(gaps) / len(gaps)


def ray_tunes(trials: int) -> float:
    """The milliseconds for a trial of Ray Tune's own that does nothing, each in an actor of its own."""
    import ray
    from ray import tune

    def objective(config: dict[str, Any]) -> None:
        tune.report({"value": config["a"]})

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        space = {name: tune.loguniform(1e-5, 1.0) for name in SPACE}
        options = tune.TuneConfig(num_samples=trials, metric="value", mode="min")
        quiet_run = tune.RunConfig(verbose=0)
        began = time.perf_counter()
        tune.Tuner(objective, param_space=space, tune_config=options, run_config=quiet_run).fit()
        return 1000 * (time.perf_counter() - began) / trials
    finally:
        ray.shutdown()


def measure(*, full: bool) -> list[Measured]:
    """Two rows."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    trials, repeats, of_ray = (1000, 3, 40) if full else (300, 2, 8)

    def of(times: Callable[[Path], list[float]]) -> float:
        with scratch() as folder:
            return float(around(times(folder), trials))

    found = in_turn(
        repeats,
        {
            "Optuna, SQLite": lambda: of(partial(optunas, trials)),
            "Study": lambda: of(partial(ours, trials)),
        },
    )
    sides = medians(found, "ms") | {"Ray Tune [ms]": ray_tunes(of_ray)}
    what = f"own cost per trial of a study, {trials:,} trials"
    beside_ray = tuple(own / sides["Ray Tune [ms]"] for own in found["Study"])
    return [
        Measured(what, "Optuna's optimize, SQLite", ratios(found), "times", 1, sides=sides),
        Measured(what, f"Ray Tune, {of_ray} trials", beside_ray, "times", 0.05, sides=sides),
    ]


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000, help="of no cost; 0 for none")
    parser.add_argument("--optuna", type=int, default=1000, help="the same with Optuna's own; 0 for none")
    parser.add_argument("--busy", type=int, default=16, help="trials that work; 0 for none")
    parser.add_argument("--seconds", type=float, default=2.0, help="for which each works, up to twice that")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(HOME=home, BURR_LIGHTNING_HOME=f"{home}/runs")
        if options.trials:
            marks = {"burr_lightning": ours(options.trials, Path(home, "runs"))}
            if options.optuna:
                marks["optuna, SQLite"] = optunas(options.optuna, Path(home))
            print(f"{'ms for a trial, at trial':26}", *(f"{at:>8,}" for at in (10, 100, 1000, 10_000)))
            for name, each in marks.items():
                print(f"{name:26}", *(f"{around(each, at):>8}" for at in (10, 100, 1000, 10_000)))
        if options.busy:
            share, gap = busy(options.busy, options.seconds, options.workers)
            print(
                f"{options.workers} workers, {options.busy} trials of {options.seconds:g} s or more: ", end=""
            )
            print(f"{share:.1%} of their time in objectives, {gap:.0f} ms between two trials")


if __name__ == "__main__":
    main()
