"""A recording whose columns several conditions share: what one has computed of it the others take over."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..logged import Logged
from ..metric_log import Statistic
from ..recording import Recording

Checks = NDArray[np.int64]


class Columns:
    """The columns of a recording, and the statistics that were asked of them, each computed once.

    Args:
        recording: The history.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._of_one: dict[str, tuple[Checks, NDArray[np.float64]]] = {}
        self._logged: dict[tuple[str, ...], tuple[Checks, Logged]] = {}
        self._numbers: dict[Statistic, NDArray[Any]] = {}

    def numbers(self, statistic: Statistic) -> tuple[Checks, NDArray[Any]]:
        """The checks at which one of a statistic's metrics was logged, and its number at each."""
        names = statistic.metrics
        if names not in self._logged:
            self._logged[names] = self._together(names)
        at, logged = self._logged[names]
        if statistic not in self._numbers:
            self._numbers[statistic] = statistic.over(logged)
        return at, self._numbers[statistic]

    def _together(self, names: tuple[str, ...]) -> tuple[Checks, Logged]:
        ats, columns = zip(*map(self._column, names), strict=True)
        at = ats[0]
        if any(not np.array_equal(at, other) for other in ats[1:]):
            at = np.unique(np.concatenate(ats))
        spread = [_spread(at, own, column) for own, column in zip(ats, columns, strict=True)]
        values, there = zip(*spread, strict=True)
        return at, Logged(self.recording.epochs[at], values, there)

    def _column(self, name: str) -> tuple[Checks, NDArray[np.float64]]:
        if name not in self._of_one:
            series = self.recording.series[name]
            at, values = np.asarray(series.at, dtype=np.int64), np.asarray(series.values, dtype=np.float64)
            self._of_one[name] = at, values
        return self._of_one[name]


def _spread(
    at: Checks, own: Checks, column: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A metric's values at the checks of several, NaN where it was not logged, and where it was."""
    if len(own) == len(at):
        return column, np.ones(len(at), dtype=bool)
    values, there = np.full(len(at), np.nan), np.zeros(len(at), dtype=bool)
    places = np.searchsorted(at, own)
    values[places], there[places] = column, True
    return values, there
