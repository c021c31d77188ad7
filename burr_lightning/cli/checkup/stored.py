"""The rows of runs: whether the database is whole, whether each run's can be read, and whose they are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ...amounts import file_size
from ...errors import BurrLightningError
from ...layout import DATABASE
from ...persisters.sqlite import read_sqlite
from ...runs import Run
from .finding import Finding, count


def check_database(root: Path) -> Iterator[Finding]:
    """The SQLite file beside the runs: whether it is whole, and rows in it whose run is gone.

    Args:
        root: The folder of all runs.
    """
    path = root / DATABASE
    if not path.exists():
        return
    try:
        rows = read_sqlite(path)
    except (OSError, sqlite3.Error) as error:
        yield Finding("rows", "problem", f"{path} cannot be opened: {error}", (str(path),))
        return
    if rows is None:
        yield Finding("rows", "note", f"{path} has no table of rows")
        return
    try:
        found = rows.connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        query = (
            f"SELECT partition_key, app_id, count(*) FROM {rows.table_name} GROUP BY partition_key, app_id"
        )
        runs = rows.connection.execute(query).fetchall()
    except (sqlite3.Error, ValueError) as error:
        found, runs = str(error), []
    finally:
        rows.connection.close()
    if found != "ok":
        text = f"{path} is damaged ({found}). Restore it from a backup."
        yield Finding("rows", "problem", text, (str(path),))
        return
    total = sum(number for _, _, number in runs)
    size = file_size(path.stat().st_size)
    yield Finding("rows", "fine", f"{path.name}: {size}, {count(total, 'row')}, and to SQLite it is in order")
    for project, run_id, number in runs:
        if not (root / str(project) / str(run_id)).exists():
            text = f"{count(number, 'row')} of the run {project}/{run_id}, whose folder is gone"
            yield Finding("orphans", "problem", text, (str(root / str(project) / str(run_id)),))


def check_runs(runs: list[Run]) -> Iterator[Finding]:
    """Whether the newest row of each run can be read, and is there.

    Args:
        runs: All runs.
    """
    for run in runs:
        if run.rows_error is not None:
            yield Finding("rows", "problem", run.rows_error, (str(run.folder),))
        elif run.state is None and any((run.folder / "checkpoints").glob("*.ckpt")):
            text = f"Run {run.run_id!r} has checkpoints and no row: it cannot go on without its database"
            yield Finding("rows", "problem", text, (str(run.folder),))
        elif (damaged := _damaged(run)) is not None:
            text = f"{damaged} Until then the row before it counts: burr-lightning verify {run.run_id}"
            yield Finding("rows", "problem", text, (str(run.folder),))


def _damaged(run: Run) -> str | None:
    """What is wrong with the newest row of a run, ``None`` where nothing is."""
    try:
        with run.rows() as rows:
            newest = rows.newest_sequence_id()
            if newest is not None:
                rows.stored(newest)
    except BurrLightningError as error:
        return str(error)
    return None
