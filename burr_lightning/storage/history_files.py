"""A run's history as a file: one line per epoch, as CSV, JSON or Parquet.

What was not logged in an epoch is an empty cell, which data frames read as NaN; a value that was NaN is NaN.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import ExportError, MissingExtraError
from ..history import MetricHistory
from ..state import json_value
from .targets import write_target

Rows = Sequence[dict[str, Any]]

_WHEN = ("epoch", "step", "seconds")
_WHOLE = ("epoch", "step")


def export_history(history: MetricHistory, path: Path) -> int:
    """Write a history to a file of the kind that its name says.

    Args:
        history: What is written.
        path: Where to.

    Returns:
        How many epochs it has.

    Raises:
        ExportError: If no epoch has ended, or the file cannot be written.
        MissingExtraError: For Parquet, without pyarrow.
    """
    kind = checked_kind(path)
    rows = history.to_dicts()
    if not rows:
        raise ExportError("No epoch has been committed yet: there is no history to export.")
    logged = {name for row in rows for name in row}
    columns = [name for name in (*_WHEN, *history.names) if name in logged]
    content = kind(rows, list(dict.fromkeys(columns)))
    write_target(path, lambda stream: stream.write(content))
    return len(rows)


def checked_kind(path: Path) -> Callable[[Rows, list[str]], bytes]:
    """What makes a file of the kind that a name says.

    Raises:
        ExportError: If it says none that there is.
        MissingExtraError: For Parquet, without pyarrow.
    """
    kinds = {".csv": _csv, ".json": _json, ".parquet": _parquet}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise ExportError(f"--history {path}: its name must end in {', '.join(kinds)}.")
    if kind is _parquet:
        _pyarrow(path)
    return kind


def _csv(rows: Rows, columns: list[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _json(rows: Rows, columns: list[str]) -> bytes:
    lines = [json.dumps({name: json_value(row.get(name)) for name in columns}) for row in rows]
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()


def _parquet(rows: Rows, columns: list[str]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    arrays = {}
    for name in columns:
        kind = pyarrow.int64() if name in _WHOLE else pyarrow.float64()
        arrays[name] = pyarrow.array([row.get(name) for row in rows], type=kind)
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays), buffer)
    return buffer.getvalue()


def _pyarrow(path: Path) -> None:
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        instead = "FILE.csv and FILE.json need nothing more."
        raise MissingExtraError(f"--history {path}", "pyarrow", "parquet", instead) from error
