"""The truth of a condition at every check of a recording, in one array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metric_log import Statistic
from ..recording import Recording

Truths = NDArray[np.int8]
"""One truth per check. In Kleene's logic "and" is the least of them, "or" the greatest."""

FALSE, UNKNOWN, TRUE = 0, 1, 2


def statistic_over(
    statistic: Statistic, recording: Recording
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A statistic over a whole recording.

    Returns:
        The checks at which one of its metrics was logged, and its number at each.
    """
    at, logged = _logged(statistic.metrics, recording)
    return at, np.fromiter(statistic.values(logged), dtype=np.float64, count=len(at))


def _logged(names: tuple[str, ...], recording: Recording) -> tuple[NDArray[np.int64], Iterator[Any]]:
    series = [recording.series[name] for name in names]
    ats = [np.asarray(one.at, dtype=np.int64) for one in series]
    at = ats[0]
    columns: list[Any] = [series[0].values]
    if any(not np.array_equal(at, other) for other in ats[1:]):
        at = np.unique(np.concatenate(ats))
        columns = [_spread(at, ats[0], series[0].values)]
    for own, one in zip(ats[1:], series[1:], strict=True):
        columns.append(one.values if len(own) == len(at) else _spread(at, own, one.values))
    return at, zip(recording.epochs[at].tolist(), *columns, strict=True)


def _spread(at: NDArray[np.int64], own: NDArray[np.int64], values: Any) -> list[float | None]:
    """The values of a metric at the checks of several, ``None`` where it was not logged."""
    spread: list[float | None] = [None] * len(at)
    for place, value in zip(np.searchsorted(at, own).tolist(), values, strict=True):
        spread[place] = value
    return spread


def held(at: NDArray[np.int64], truths: Truths, checks: int) -> Truths:
    """Truths at some checks, each held until the next one; before the first nothing is known."""
    if len(at) == checks:
        return truths
    newest = np.searchsorted(at, np.arange(checks), side="right") - 1
    return np.where(newest >= 0, truths[newest], np.int8(UNKNOWN)) if len(at) else _unknown(checks)


def _unknown(checks: int) -> Truths:
    return np.full(checks, UNKNOWN, dtype=np.int8)
