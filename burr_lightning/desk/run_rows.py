"""What the list of runs says of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from ..amounts import number
from ..layout import RunFolder
from ..runs.words import status_in_words
from .store import StoredRun, UnreadableRun
from .words import NONE, iso, moment, short


@dataclass(frozen=True)
class RunRow:
    """One line of the list."""

    address: str
    run_id: str
    project: str
    status: str
    epoch: str
    metric: str
    """The monitored metric, empty where none is."""
    best: str
    created: str
    """When, in words, and"""
    created_iso: str
    """for programs; empty where that is not known."""
    question: str | None = None
    """What it waits to be told."""
    note: str | None = None
    """Why it stopped or failed, or cannot be read."""


def rows_of(runs: Sequence[StoredRun | UnreadableRun]) -> list[RunRow]:
    """The list: what waits for an answer first, then in the order given."""
    rows = [_row(run) for run in runs]
    return sorted(rows, key=lambda row: row.question is None)


def address_of(folder: RunFolder) -> str:
    """Where the page of a run is: by the names of its folders, which no file in them can change."""
    names = (quote(os.fsencode(name), safe="") for name in (folder.project, folder.run_id))
    return f"/runs/{'/'.join(names)}"


def _row(run: StoredRun | UnreadableRun) -> RunRow:
    if isinstance(run, UnreadableRun):
        return _unreadable(run.folder, run.error)
    try:
        return _readable(run)
    except Exception as error:  # a file of the run that another version wrote: the others are shown
        return _unreadable(run.folder, f"{type(error).__name__}: {error}")


def _readable(stored: StoredRun) -> RunRow:
    run = stored.run
    monitor = run.state["monitor"] if run.state else None
    question, note = run.question, run.rows_error or run.error or run.stop_reason
    return RunRow(
        address_of(stored.folder),
        run.run_id,
        run.project,
        status_of(stored),
        str(run.epoch) if run.epoch >= 0 else NONE,
        monitor["metric"] if monitor else "",
        _best(stored),
        moment(stored.info.created),
        iso(stored.info.created),
        short(question.text) if question else None,
        short(note) if note else None,
    )


def status_of(stored: StoredRun) -> str:
    """A run's status in words; ``answered`` where nothing has gone on with its answered question yet."""
    status = status_in_words(stored.run)
    return "answered" if status == "paused" and stored.run.is_answered else status


def _best(stored: StoredRun) -> str:
    best, state = stored.run.best, stored.run.state
    if best is None or best["value"] is None or state is None or state["monitor"] is None:
        return NONE
    return f"{number(best['value'])} (epoch {best['epoch']})"


def _unreadable(folder: RunFolder, error: str) -> RunRow:
    address = address_of(folder)
    return RunRow(
        address, folder.run_id, folder.project, "unreadable", NONE, "", NONE, NONE, "", None, short(error)
    )
