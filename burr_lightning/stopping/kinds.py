"""What kind of history something is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, HistoryError, RunNotFoundError
from ..history import MetricHistory
from ..persisters import Place
from ..recording import Recording
from ..runs import Run, find_run
from .frames import as_several, table_of_columns, table_of_frame, table_of_rows
from .logs import address_of, table_of_log
from .tables import WHEN, Table

_KINDS = (
    "a MetricHistory, a Recording, a Run, a run's id, the path of a log (a CSV file, an event file, or its "
    "folder), a pandas DataFrame, a list of dicts (one per epoch or check) or a dict of columns"
)


@dataclass(frozen=True)
class Call:
    """The call that histories are read for, and where it looks for runs, as `find_run` does."""

    function: str
    """The function that the user called, for errors."""
    monitor: str
    """The monitored metric."""
    project: str | None
    root_dir: str | os.PathLike[str] | None
    persister: str | Place | None


@dataclass(frozen=True)
class Source:
    """One history, as it was given."""

    address: tuple[str, ...]
    """What it is called, from the outermost folder inwards."""
    shown: str
    """How an error calls it."""
    history: Recording | Callable[[Iterable[str], str], Table]
    """It, where its checks are known; else what reads its rows from the metrics wanted and the call."""
    hint: str = ""
    """What it may be instead, where it lacks the monitored metric."""


def several(histories: Any, call: Call) -> list[Source]:
    """The histories in what a user gave: one, a list of them, or a dict that names them.

    Args:
        histories: What was given.
        call: What they are read for.

    Raises:
        ArgumentError: If there is no history in it, or something else.
        HistoryError: If a run or a file that it names is not there, or a run's rows cannot be read.
    """
    alone = _one(histories, None, 0, call)
    if alone is not None:
        return [alone]
    given: list[tuple[str | None, Any]] = []
    if isinstance(histories, Mapping):
        given = [(str(name), history) for name, history in histories.items()]
    elif isinstance(histories, Iterable):
        given = [(None, history) for history in histories]
    if not given:
        raise ArgumentError(
            f"{call.function}({histories!r}, ...): give a history ({_KINDS}), or several in a list or "
            f"in a dict."
        )
    return [_checked(history, name, number, call) for number, (name, history) in enumerate(given)]


def _checked(history: Any, name: str | None, number: int, call: Call) -> Source:
    source = _one(history, name, number, call)
    if source is None:
        which = f"history {number}" if name is None else repr(name)
        raise ArgumentError(
            f"{call.function}(...): {which} must be {_KINDS}, not {type(history).__name__}: {history!r:.80}."
            f"{_hint(history, name, call.monitor)}"
        )
    return source


def _hint(history: Any, name: str | None, monitor: str) -> str:
    """What numbers should have been given as."""
    if _is_row(history) or (name is not None and _is_number(history)):
        return " A dict of numbers is one row: put the rows into a list."
    if _is_number(history) or _is_column(history):
        return f" Numbers alone are those of no metric: write {{{monitor!r}: [...]}}."
    return ""


def _one(history: Any, name: str | None, number: int, call: Call) -> Source | None:
    """Something as one history, ``None`` where it is none."""
    if isinstance(history, str) and not os.path.exists(os.path.expanduser(history)):
        history = _run(history, call)
    if isinstance(history, (str, os.PathLike)):
        return _log(Path(history), name, call)
    if isinstance(history, Run):
        return _stored(history, name, call)
    known, shown = name or f"history {number}", repr(name) if name else f"history {number}"
    if isinstance(history, Recording):
        return Source((name or history.name or known,), shown, history)
    if isinstance(history, MetricHistory):
        return Source((known,), shown, history.recording())
    read = _reader(history)
    if read is None:
        return None
    may_be_several = read is table_of_columns and not WHEN & set(history)
    hint = as_several(history, call.monitor) if may_be_several else ""
    return Source((known,), shown, partial(read, history), hint)


def _reader(history: Any) -> Callable[[Any, Iterable[str], str], Table] | None:
    """What reads the rows of something in memory, ``None`` where that has none."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(history, pandas.DataFrame):
        return table_of_frame
    if isinstance(history, Mapping) and history and all(map(_is_column, history.values())):
        return table_of_columns
    if isinstance(history, Sequence) and history and _is_row(history[0]):
        return table_of_rows
    return None


def _is_row(value: Any) -> bool:
    """Whether something is a dict of numbers, for one epoch or check; texts are refused later, by name."""
    return isinstance(value, Mapping) and (
        not value or any(_is_number(number) or isinstance(number, str) for number in value.values())
    )


def _is_number(value: Any) -> bool:
    return value is None or (hasattr(value, "__float__") and getattr(value, "ndim", 0) == 0)


def _is_column(value: Any) -> bool:
    """Whether something is a sequence of numbers."""
    if isinstance(value, (str, Mapping, MetricHistory, Recording)) or not hasattr(value, "__len__"):
        return False
    first = next(iter(value), None)
    return first is None or hasattr(first, "__float__")


def _run(wanted: str, call: Call) -> Run:
    try:
        return find_run(wanted, call.project, root_dir=call.root_dir, persister=call.persister)
    except RunNotFoundError as error:
        raise HistoryError(
            f"{call.function}({wanted!r}, ...): {error} Nor is there a file or a folder "
            f"{Path(wanted).absolute()}."
        ) from error


def _stored(run: Run, name: str | None, call: Call) -> Source:
    shown = repr(run.run_id)
    if run.rows_error is not None:
        raise HistoryError(
            f"{call.function}({shown}, ...): the rows of this run cannot be read. {run.rows_error}"
        )
    address = (name,) if name else (run.project, run.run_id)
    monitor = run.state["monitor"] if run.state is not None else None
    return Source(address, shown, run.history.recording(monitor=monitor))


def _log(path: Path, name: str | None, call: Call) -> Source:
    path = path.expanduser()
    if not path.exists():
        raise HistoryError(f"{call.function}({str(path)!r}, ...): there is no such file or folder.")
    read = partial(table_of_log, path)
    return Source((name,) if name else address_of(path), repr(str(path)), read)
