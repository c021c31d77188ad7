"""What an epoch costs early and late in a long run: time, and bytes written.

Run it as ``python benchmarks/growth.py``. It walks a real Burr application through a run of 10 metrics
without training: the history and a condition, the row in SQLite, the tracker's line. Beside it stands
the way that Burr's own documents show, a list in the state. ``--epochs`` and ``--naive-epochs`` make it
smaller.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from burr.core import ApplicationBuilder, State, action
from burr.core.persistence import SQLitePersister
from burr.tracking import LocalTrackingClient
from measured import Measured, medians, ratios, scratch

from burr_lightning.conditions import plateau
from burr_lightning.rows import StateRows
from burr_lightning.state import PhaseReport, initial_state, recorded

WINDOW = 100
"""Epochs that a median is taken over."""


def metrics_of(epoch: int) -> dict[str, float]:
    """Ten metrics, each with all the digits of a float: how many there are must not change with the epoch."""
    return {f"metric_{number}": 1 + abs(math.sin(10 * epoch + number)) for number in range(10)}


def recording(logged: Callable[[int], dict[str, float]]) -> Any:
    """An action that is one epoch as `burr_lightning` records it.

    Args:
        logged: The metrics of an epoch.
    """

    @action(reads=["history", "metrics", "monitor", "best", "shadow"], writes=["history", "metrics", "epoch"])
    def epoch_of_ours(state: State[Any], number: int) -> State[Any]:
        report = PhaseReport(
            number, 0, 9, 10 * number, logged(number), ends_epoch=True, seconds=float(number)
        )
        state = recorded(state, report)
        plateau("metric_1", 10).run(state)
        return state

    return epoch_of_ours


@action(reads=["history"], writes=["history"])
def epoch_in_a_list(state: State[Any], number: int) -> State[Any]:
    """One epoch appended to a list in the state."""
    return state.append(history={"epoch": number, **metrics_of(number)})


def walk(
    folder: Path, epochs: int, *, naive: bool, clock: Callable[[], float] = time.perf_counter
) -> list[tuple[float, int]]:
    """The seconds and the bytes written of every epoch."""
    folder.mkdir()
    persister = SQLitePersister(str(folder / "rows.sqlite"))
    persister.initialize()
    rows = StateRows(persister, "p", "r")
    state = {"history": []} if naive else initial_state({}, "metric_1", "min")
    step = epoch_in_a_list if naive else recording(metrics_of)
    app = (
        ApplicationBuilder()
        .with_actions(step=step)
        .with_transitions(("step", "step"))
        .with_state(**state)
        .with_entrypoint("step")
        .with_identifiers(app_id="r", partition_key="p")
        .with_tracker(LocalTrackingClient("p", str(folder)))
        .build()
    )
    save: Callable[[int, State[Any]], None]
    if naive:
        save = lambda number, now: persister.save("p", "r", number, "step", now, "completed")  # noqa: E731
    else:
        save = lambda number, now: rows.save(number, "step", now)  # noqa: E731
    log = next(iter(folder.rglob("r"))) / LocalTrackingClient.LOG_FILENAME
    measured = []
    for number in range(epochs):
        logged = log.stat().st_size if log.exists() else 0
        started = clock()
        _, _, now = app.step(inputs={"number": number})
        save(number, now)
        spent = clock() - started
        measured.append((spent, log.stat().st_size - logged + _row_bytes(persister, number)))
    persister.cleanup()
    return measured


def _row_bytes(persister: SQLitePersister, number: int) -> int:
    # By the primary key: a scan of the table would push everything else out of SQLite's cache.
    key = "partition_key = 'p' AND app_id = 'r' AND sequence_id = ?"
    query = f"SELECT length(state) FROM {persister.table_name} WHERE {key}"
    return int(persister.connection.execute(query, (number,)).fetchone()[0])


def early_and_late(measured: list[tuple[float, int]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """The median seconds and bytes of an epoch, from epoch 10 on and at the end."""
    windows = measured[10 : 10 + WINDOW], measured[-WINDOW:]
    early, late = ([statistics.median(column) for column in zip(*window, strict=True)] for window in windows)
    return (early[0], early[1]), (late[0], late[1])


def measure(*, full: bool) -> list[Measured]:
    """Two rows."""
    repeats = 5 if full else 2
    walked = []
    for _ in range(repeats):
        with scratch() as folder:
            walked.append(early_and_late(walk(folder / "ours", 10_000, naive=False)))
    names = ("at epoch 10", "at epoch 10,000")
    milliseconds, written = (
        {
            name: [pair[column] for pair in pairs]
            for name, pairs in zip(names, zip(*walked, strict=True), strict=True)
        }
        for column in (0, 1)
    )
    return [
        Measured(f"{what} per epoch at epoch 10,000", "at epoch 10", ratios(found), "times", 1.1, sides=sides)
        for what, found, sides in (
            ("cost", milliseconds, medians(milliseconds, "ms", 1e3)),
            ("bytes", written, medians(written, "B")),
        )
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10_000)
    parser.add_argument("--naive-epochs", type=int, default=1_000)
    asked = parser.parse_args()
    headings = ["epochs", "ms early", "ms late", "ratio", "B early", "B late", "ratio"]
    print(" " * 22, *(f"{heading:>9}" for heading in headings))
    ways = {"MetricHistory": (asked.epochs, False), "a list in the state": (asked.naive_epochs, True)}
    with tempfile.TemporaryDirectory() as folder:
        for name, (epochs, naive) in ways.items():
            early, late = early_and_late(walk(Path(folder) / f"{naive}", epochs, naive=naive))
            times = f"{early[0] * 1e3:9.2f} {late[0] * 1e3:9.2f} {late[0] / early[0]:9.2f}"
            print(f"{name:22} {epochs:9} {times} {early[1]:9.0f} {late[1]:9.0f} {late[1] / early[1]:9.2f}")


if __name__ == "__main__":
    main()
