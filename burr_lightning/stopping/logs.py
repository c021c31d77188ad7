"""What Lightning's loggers leave on disk: which file it is, and how its rows are to be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import HistoryError
from .csv_files import table_of_csv
from .event_files import table_of_events
from .tables import Table, known_epochs, placed

_SHOWN = 10
"""How many names an error lists."""


def table_of_log(path: Path, wanted: Iterable[str], source: str) -> Table:
    """The rows of a training that Lightning's ``CSVLogger`` or ``TensorBoardLogger`` wrote.

    Args:
        path: The CSV file, the event file, or the folder that holds one of them. Of a folder with both,
            the CSV file is read: it has all digits.
        wanted: The metrics to read.
        source: The call and the history, for errors.

    Raises:
        HistoryError: If there is no such log, or what is in it cannot be read.
        MissingExtraError: If it is an event file, and tensorboard is not installed.
    """
    if path.is_dir():
        events = _event_files(path)
        if (path / "metrics.csv").is_file():
            table = table_of_csv(path / "metrics.csv", wanted, source)
        elif events:
            table = table_of_events(events, wanted, source)
        else:
            raise HistoryError(f"{source}: there is no metrics.csv and no event file in it. {_found(path)}")
    elif "tfevents" in path.name:
        table = table_of_events([path], wanted, source)
    else:
        table = table_of_csv(path, wanted, source)
    return _as_trained(table, source)


def address_of(path: Path) -> tuple[str, ...]:
    """What a log is called, from the outermost folder inwards."""
    path = path.resolve()
    if path.is_dir():
        return path.parts
    if path.name == "metrics.csv" or "tfevents" in path.name:
        return path.parent.parts
    return (*path.parent.parts, path.stem)


def _event_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*tfevents*") if path.is_file())


def _found(folder: Path) -> str:
    logs = [p for p in sorted(folder.glob("*/")) if (p / "metrics.csv").is_file() or _event_files(p)]
    if logs:
        return f"Folders in it that hold one: {_listed(path.name for path in logs)}."
    if (folder / "run.json").is_file():
        return f"It is the folder of a run: give the run's id, {folder.name!r}."
    return f"It holds: {_listed(path.name for path in sorted(folder.iterdir()))}."


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return (", ".join(known[:_SHOWN]) or "nothing") + more


def _as_trained(table: Table, source: str) -> Table:
    """The rows of the training alone, with the epochs that logged nothing, and the steps taken."""
    epochs = known_epochs(table, source)
    if epochs is None:
        return replace(table, steps=None if table.steps is None else table.steps + 1)
    assert table.epochs is not None
    numbered = replace(table, epochs=epochs.astype(np.float64))
    if table.steps is not None:
        # A row that says no epoch was given its step by the module or by another callback.
        numbered = replace(numbered, steps=np.where(np.isnan(table.epochs), np.nan, table.steps + 1))
    return _with_silent_epochs(_without_later_passes(numbered))


def _without_later_passes(table: Table) -> Table:
    """The rows without those of a ``trainer.validate`` or ``trainer.test`` after the training.

    Lightning logs them as if they were the first step of an epoch that it never began. An epoch of one
    step at the end, after longer ones, is taken for that.
    """
    epochs, steps = table.epochs, table.steps
    assert epochs is not None
    trained = np.flatnonzero(epochs < epochs[-1])
    if steps is None or not len(trained) or np.isnan(steps[trained]).all():
        return table
    taken = np.nanmax(steps[trained])
    if taken <= epochs[trained[-1]] + 1 or not (steps[len(trained) :] == taken + 1).all():
        return table
    size = len(trained)
    return replace(
        table,
        size=size,
        series=placed(table.series, lambda rows: np.minimum(rows, size), size),
        epochs=epochs[:size],
        steps=steps[:size],
        seconds=None if table.seconds is None else table.seconds[:size],
    )


def _with_silent_epochs(table: Table) -> Table:
    """The rows with an empty one for each epoch that ended without a word.

    Those before the first row are told from the distance of the others: where every second epoch logs
    something, a log that begins with epoch 1 is whole, and one that begins with epoch 9 goes on from
    another.
    """
    epochs = table.epochs
    assert epochs is not None
    logged = np.unique(epochs)
    first = max(logged[0] - (np.diff(logged).min(initial=np.inf) - 1), 0) if len(logged) > 1 else logged[0]
    silent = np.setdiff1d(np.arange(first, logged[-1]), logged)
    if not len(silent):
        return table
    before = np.searchsorted(epochs, silent)
    moved = np.arange(table.size) + np.searchsorted(silent, epochs)
    size = table.size + len(silent)
    return replace(
        table,
        size=size,
        series=placed(table.series, lambda rows: moved[rows], size),
        epochs=np.insert(epochs, before, silent),
        steps=None if table.steps is None else np.insert(table.steps, before, np.nan),
        seconds=None if table.seconds is None else np.insert(table.seconds, before, np.nan),
    )
