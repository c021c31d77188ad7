"""What the histories of a run share: its checks in order, and the statistics kept up to date on them."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from threading import RLock
from typing import Any, NamedTuple, Protocol, overload

from numpy.typing import NDArray

from .logged import Logged
from .metric import Mode

Late = dict[int, list[tuple[int, float]]]
"""What was logged after an epoch was over: by epoch, the number of each check, and the value."""


class Check(NamedTuple):
    """What was logged at one boundary: a validation pass, or the end of an epoch."""

    epoch: int
    """The epoch it was logged in, 0-based."""
    ends_epoch: bool
    """Whether the epoch ended there."""
    metrics: dict[str, float]
    """Only what was logged since the check before it."""
    step: int | None = None
    """Optimizer steps taken until then, ``None`` where nobody recorded them."""
    seconds: float | None = None
    """Seconds of training until then, ``None`` where nobody recorded them."""

    def says_what(self, other: Check) -> bool:
        """Whether another one is the same but for the clock."""
        return self._said() == other._said()

    def _said(self) -> str:
        # As text NaN is like NaN; and some databases know no -0.0.
        values = sorted((name, value + 0.0) for name, value in self.metrics.items())
        return repr((self.epoch, self.ends_epoch, self.step, values))


class Statistic(Protocol):
    """A number drawn from all values that metrics had so far, and kept up to date with each new one.

    Its `values` gets one tuple per check at which one of its metrics was logged: the epoch, and the
    value of each metric in the order of `metrics`, ``None`` for one that was not logged there. It yields
    one number for each, before it asks for the next; NaN where there is none yet. What it has to
    remember is in its local variables. `over` gives the same numbers, to the last bit, of a history that
    is over.

    A statistic is hashable: equal ones are kept once.
    """

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it is taken of."""
        ...

    def values(self, logged: Iterator[tuple[Any, ...]]) -> Iterator[float]:
        """One number for each tuple."""
        ...

    def over(self, logged: Logged) -> NDArray[Any]:
        """One number for each check at which one of its metrics was logged."""
        ...


class Trace:
    """The numbers of one statistic along a log, each computed once.

    Args:
        statistic: What is computed.
    """

    def __init__(self, statistic: Statistic) -> None:
        self._names = statistic.metrics
        self._at = array("q")
        self._outputs = array("d")
        self._seen = 0
        self._newest: tuple[Any, ...] = ()
        self._values = statistic.values(self._logged())

    def _logged(self) -> Iterator[tuple[Any, ...]]:
        while True:
            yield self._newest

    def follow(self, checks: Sequence[Check]) -> None:
        """Take in the checks that are new since the last time."""
        for index in range(self._seen, len(checks)):
            check = checks[index]
            if any(name in check.metrics for name in self._names):
                self._newest = (check.epoch, *(check.metrics.get(name) for name in self._names))
                self._outputs.append(next(self._values))
                self._at.append(index)
        self._seen = len(checks)

    def newest(self, size: int) -> float | None:
        """The number after so many checks, ``None`` where nothing was logged in them."""
        count = bisect_left(self._at, size)
        return self._outputs[count - 1] if count else None


class MetricLog:
    """The storage that successive histories share. It only ever grows.

    Args:
        first_epoch: The epoch that columns begin with, for the storage of a `tail`; else 0.
    """

    def __init__(self, first_epoch: int = 0) -> None:
        self.checks: list[Check] = []
        self.first_epoch = self.epochs = first_epoch
        self.columns: dict[str, list[float]] = {}
        self.logged_at: dict[str, array[int]] = {}
        self._declared: dict[str, list[tuple[int, Mode]]] = {}
        self.late: dict[str, Late] = {}
        self._tail: tuple[int, MetricLog] = (0, self)
        self._traces: dict[Statistic, Trace] = {}
        self._asking = RLock()

    def append(self, check: Check, directions: Mapping[str, Mode]) -> None:
        """Add a check at the end."""
        index = len(self.checks)
        self.checks.append(check)
        self.declare(index, directions)
        for name in check.metrics:
            self.logged_at.setdefault(name, array("q")).append(index)
        if check.epoch < self.epochs:
            for name, value in check.metrics.items():
                self.columns.setdefault(name, [])
                self.late.setdefault(name, {}).setdefault(check.epoch, []).append((index, value))
        elif check.ends_epoch:
            self._end_epoch(check.epoch)

    def declare(self, index: int, directions: Mapping[str, Mode]) -> None:
        """Metrics have told their direction at a check."""
        for name, direction in directions.items():
            declared = self._declared.setdefault(name, [])
            if not declared or declared[-1][1] != direction:
                declared.append((index, direction))

    def _end_epoch(self, epoch: int) -> None:
        values: dict[str, float] = {}
        for check in reversed(self.checks):
            if check.epoch != epoch:
                break
            values = {**check.metrics, **values}
        for name, value in values.items():
            column = self.columns.setdefault(name, [])
            column.extend([math.nan] * (epoch - self.first_epoch - len(column)))
            column.append(value)
        self.epochs = epoch + 1

    def directions_at(self, size: int) -> dict[str, Mode]:
        """The direction of every metric that had declared one within so many checks."""
        return {
            name: direction
            for name, declared in self._declared.items()
            for index, direction in declared
            if index < size
        }

    def logged(self, name: str, size: int) -> int:
        """At how many of the first checks a metric was logged."""
        return bisect_left(self.logged_at.get(name, ()), size)

    def newest(self, statistic: Statistic, size: int) -> float | None:
        """A statistic after so many checks; O(1) amortised."""
        with self._asking:
            # Taken out meanwhile: one that fails half way would be of no use any more.
            trace = self._traces.pop(statistic, None) or Trace(statistic)
            trace.follow(self.checks)
            self._traces[statistic] = trace
            return trace.newest(size)

    def tail(self, first: int) -> MetricLog:
        """What came from check number ``first`` on; the newest one that was asked for is kept up to date."""
        with self._asking:
            kept, tail = self._tail
            if kept != first:
                tail = MetricLog(self.checks[first].epoch)
                self._tail = (first, tail)
            for number in range(first + len(tail.checks), len(self.checks)):
                tail.append(self.checks[number], self.directions_at(number + 1))
            return tail


class Column(Sequence[float]):
    """The values of one metric, one per epoch; NaN where it was not logged."""

    def __init__(self, values: list[float], first_epoch: int, epochs: int, late: Late, size: int) -> None:
        self._values = values
        self._first_epoch, self._epochs = first_epoch, epochs
        self._late, self._size = late, size

    def __len__(self) -> int:
        return self._epochs

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> list[float]: ...
    def __getitem__(self, index: int | slice) -> float | list[float]:
        if isinstance(index, slice):
            return [self._at(i) for i in range(*index.indices(self._epochs))]
        if not -self._epochs <= index < self._epochs:
            raise IndexError(f"epoch {index} of a history of {self._epochs} epochs")
        return self._at(index % self._epochs)

    def _at(self, epoch: int) -> float:
        for index, value in reversed(self._late.get(epoch, ())):
            if index < self._size:
                return value
        at = epoch - self._first_epoch
        return self._values[at] if 0 <= at < len(self._values) else math.nan

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:.4g}" for value in self[-5:])
        return f"[{'..., ' if self._epochs > 5 else ''}{shown}]"
