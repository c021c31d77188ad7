"""A history in other forms: dictionaries, columns to replay conditions on, JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .metric import Mode
from .metric_log import Check
from .recording import Recording, Series


def as_dicts(checks: Sequence[Check], epochs: int) -> list[dict[str, Any]]:
    """One dict per finished epoch: ``epoch``, every metric, and when it ended where that was recorded.

    Args:
        checks: All that was logged.
        epochs: How many epochs are over.
    """
    ends = {check.epoch: check for check in checks if check.ends_epoch}
    rows: list[dict[str, Any]] = [{"epoch": epoch} for epoch in range(epochs)]
    for epoch, check in ends.items():
        rows[epoch] |= {} if check.step is None else {"step": check.step}
        rows[epoch] |= {} if check.seconds is None else {"seconds": check.seconds}
    when = [dict(row) for row in rows]
    for check in checks:
        if check.epoch < epochs:
            rows[check.epoch] |= {**check.metrics, **when[check.epoch]}
    return rows


def as_recording(checks: Sequence[Check], directions: Mapping[str, Mode], name: str) -> Recording:
    """All checks in columns.

    Args:
        checks: All that was logged.
        directions: In which direction metrics get better.
        name: What it is called in tables and figures.
    """
    logged_at: dict[str, list[int]] = {}
    for number, check in enumerate(checks):
        for metric in check.metrics:
            logged_at.setdefault(metric, []).append(number)
    series = {
        metric: Series(np.array(at, dtype=np.int64), [checks[number].metrics[metric] for number in at])
        for metric, at in logged_at.items()
    }
    return Recording(
        epochs=np.array([check.epoch for check in checks], dtype=np.int64),
        ends_epoch=np.array([check.ends_epoch for check in checks], dtype=np.bool_),
        series=series,
        directions=directions,
        steps=_recorded([check.step for check in checks]),
        seconds=_recorded([check.seconds for check in checks]),
        name=name,
    )


def _recorded(values: list[Any]) -> NDArray[np.float64] | None:
    """A column of what was recorded, NaN where it was not; ``None`` where it never was."""
    if all(value is None for value in values):
        return None
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def encoded(check: Check, names: Sequence[str]) -> list[Any]:
    """A check as JSON without NaN or infinities; `decoded` reads it."""
    values = [check.metrics.get(name) for name in names]
    readable = [value if value is None or math.isfinite(value) else str(value) for value in values]
    row = [check.epoch, int(check.ends_epoch), readable, check.step, check.seconds]
    while row[-1] is None:
        row.pop()
    return row


def decoded(row: Sequence[Any], names: Sequence[str]) -> Check:
    """The check that `encoded` wrote."""
    epoch, ends_epoch, values, *when = row
    pairs = zip(names, values, strict=True)
    return Check(epoch, bool(ends_epoch), {n: float(v) for n, v in pairs if v is not None}, *when)


def newer_checks(
    known: Sequence[Check], size: int, chunks: Sequence[Mapping[str, Any]]
) -> list[tuple[Check, Mapping[str, Mode]]] | None:
    """The checks in chunks that come after those that are known; ``None`` where they do not continue them.

    Args:
        known: The checks of a history.
        size: How many of them count.
        chunks: What rows hold of a history, the oldest first.
    """
    newer: list[tuple[Check, Mapping[str, Mode]]] = []
    number = chunks[0]["first"] if chunks else 0
    if number > size:
        return None
    for chunk in chunks:
        for row in chunk["checks"]:
            check = decoded(row, chunk["names"])
            if number >= size:
                newer.append((check, chunk["directions"]))
            elif not known[number].says_what(check):
                return None
            number += 1
    return newer if number >= size else None
