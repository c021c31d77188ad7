"""The CSV files of Lightning's ``CSVLogger``."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import HistoryError
from ..recording import Series
from .tables import Numbers, Table


def table_of_csv(path: Path, wanted: Iterable[str], source: str) -> Table:
    """The rows of a CSV file; an empty cell is no value, ``nan`` is one, and an empty line is no row.

    Args:
        path: The file.
        wanted: The metrics to read.
        source: The call and the history, for errors.

    Raises:
        HistoryError: If it cannot be read, has no rows or two columns of one name, or a cell is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = (cells for cells in csv.reader(file) if cells)
    except (OSError, ValueError, csv.Error) as error:
        raise HistoryError(f"{source}: this cannot be read as a CSV file with a header ({error}).") from error
    if not rows:
        raise HistoryError(f"{source}: there are no rows below its header.")
    twice = sorted(name for name, count in Counter(header).items() if name and count > 1)
    if twice:
        raise HistoryError(f"{source}: its header has more than one column {', '.join(map(repr, twice))}.")
    # A process that was killed while it wrote leaves a short row at the end.
    rows[-1] += [""] * (len(header) - len(rows[-1]))
    if set(map(len, rows)) != {len(header)}:
        uneven = next(number for number, row in enumerate(rows) if len(row) != len(header))
        raise HistoryError(
            f"{source}: row {uneven} has {len(rows[uneven])} cells, and the header {len(header)}."
        )
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    epoch = epoch_name(header)
    facts = ("step", epoch)
    read = {name: _series(columns[name], name, source) for name in wanted if name in columns}
    return Table(
        size=len(rows),
        series={name: series for name, series in read.items() if series.values},
        logged=lambda: [name for name, cells in columns.items() if any(cells) and name not in facts],
        epochs=_numbers(columns, epoch, source),
        steps=_numbers(columns, "step", source),
    )


def epoch_name(names: Iterable[str]) -> str:
    """What Lightning logged the epoch as: ``epoch``, behind the logger's prefix where it has one."""
    known = list(names)
    prefixed = [name for name in known if name.endswith("-epoch")]
    return prefixed[0] if "epoch" not in known and len(prefixed) == 1 else "epoch"


def _series(cells: Sequence[str], name: str, source: str) -> Series:
    at = [row for row, cell in enumerate(cells) if cell]
    try:
        return Series(np.array(at, dtype=np.int64), [float(cells[row]) for row in at])
    except ValueError as error:
        raise HistoryError(f"{source}: the column {name!r} must hold numbers: {error}.") from error


def _numbers(columns: Mapping[str, Sequence[str]], name: str, source: str) -> Numbers | None:
    series = _series(columns.get(name, ()), name, source)
    if not series.values:
        return None
    numbers = np.full(len(columns[name]), np.nan)
    numbers[series.at] = series.values
    return numbers
