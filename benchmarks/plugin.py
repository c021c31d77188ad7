"""This library as a variant of benchmark scripts that take plugins: a module with some of these functions.

A script asks for what it measures. `trainer_kwargs` gives the callback for a Trainer; `fit` trains, or goes
on; `inspect` tells how many epochs a resume would restore; `burr_stepper` and `loader` are the machine alone,
without a training; `hpo_noop` gives the seconds that trials of a study take that do nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from burr.core import ApplicationBuilder
from burr.core.persistence import SQLitePersister
from burr.tracking import LocalTrackingClient
from growth import recording
from optuna.distributions import FloatDistribution, IntDistribution
from study import AtOnce

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.rows import StateRows
from burr_lightning.state import initial_state
from burr_lightning.tuning import Study, Trial

RUN = "plugin"


def trainer_kwargs(workdir: str, **opts: Any) -> dict[str, Any]:
    """The callback as it is by default, with all that it writes below ``workdir``."""
    tracker = LocalTrackingClient("lightning", str(Path(workdir, "tracked")))
    keep = Checkpoints(asynchronous=bool(opts.get("asynchronous")))
    burr = BurrCallback(RUN, monitor="val_loss", root_dir=workdir, tracker=tracker, checkpoints=keep)
    return {"callbacks": [burr], "enable_checkpointing": True}


def fit(trainer: Any, model: Any, train: Any, val: Any, workdir: str, resume: bool) -> None:
    """The same line begins a run and goes on with it."""
    trainer.fit(model, train, val)


def inspect(workdir: str) -> int:
    """How many epochs the newest whole commit has."""
    try:
        state = Run.open(RUN, root_dir=workdir).state
    except LookupError:
        return 0
    return int(state["epoch"]) + 1 if state is not None else 0


def burr_stepper(workdir: str, payload: str) -> tuple[Callable[[int, dict[str, float]], Any], list[str]]:
    """A step of the machine with a history, its row in SQLite and its line in Burr's log."""
    folder = Path(workdir)
    persister = SQLitePersister(str(folder / "rows.sqlite"))
    persister.initialize()
    rows = StateRows(persister, "p", "r")
    logged: dict[str, float] = {}
    app = (
        ApplicationBuilder()
        .with_actions(step=recording(lambda _: logged))
        .with_transitions(("step", "step"))
        .with_state(**initial_state({}, "metric_1", "min"))
        .with_entrypoint("step")
        .with_identifiers(app_id="r", partition_key="p")
        .with_tracker(LocalTrackingClient("p", str(folder)))
        .build()
    )
    numbers = itertools.count()

    def step(_: int, metrics: dict[str, float]) -> None:
        number = next(numbers)
        logged.update(metrics)
        _, _, now = app.step(inputs={"number": number})
        rows.save(number, "step", now)

    log = next(iter(folder.rglob("r"))) / LocalTrackingClient.LOG_FILENAME
    return step, [str(folder / "rows.sqlite"), str(log)]


def loader(workdir: str) -> Callable[[], Any]:
    """Reads the newest state, its history included."""

    def load() -> Any:
        persister = SQLitePersister(str(Path(workdir, "rows.sqlite")))
        rows = StateRows(persister, "p", "r")
        newest = rows.newest_sequence_id()
        return rows.at(newest) if newest is not None else None

    return load


def hpo_noop(n: int, workdir: str, sampler: str, storage: str) -> list[float]:
    """The seconds of each of ``n`` trials that return at once; rows in SQLite and Burr's tracker on."""
    made = AtOnce()
    space = {
        "lr": FloatDistribution(1e-5, 1e-1, log=True),
        "hidden": IntDistribution(8, 256),
        "dropout": FloatDistribution(0.0, 0.5),
    }
    samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
    options: dict[str, Any] = {"n_trials": n + 1, "run_id": f"{RUN}-study", "root_dir": workdir}
    Study(_score, space, sampler=samplers[sampler](), executor=made, **options).run()
    return [after - before for before, after in itertools.pairwise(made.marks)]


def _score(trial: Trial) -> float:
    params = trial.params
    return (params["lr"] - 1e-3) ** 2 + params["hidden"] * 1e-6 + params["dropout"]
