"""The metrics of a run, epoch by epoch: immutable to its readers, O(1) to append to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

from .errors import UnknownMetricError
from .metric import Mode, MonitoredMetric


class Check(NamedTuple):
    """What was logged at one boundary: a validation pass, or the end of an epoch."""

    epoch: int
    """The epoch it was logged in, 0-based."""
    ends_epoch: bool
    """Whether the epoch ended there."""
    metrics: dict[str, float]
    """Only what was logged since the check before it."""


@dataclass(frozen=True)
class Progress:
    """How a metric has improved so far."""

    best: float
    """The best value, ``inf`` or ``-inf`` while there is none."""
    best_epoch: int
    """The epoch of the best value, -1 while there is none."""
    checks: int
    """How often the metric was logged."""
    checks_since_best: int
    """Checks after the best one, each of which did not improve on it."""


class _Log:
    """The storage that successive histories share. It only ever grows."""

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.epochs = 0
        self.columns: dict[str, list[float]] = {}
        self.series: dict[str, list[tuple[int, int, float]]] = {}
        self.directions: dict[str, Mode] = {}
        self.progress: dict[tuple[str, Mode, float], Progress] = {}

    def append(self, check: Check, directions: Mapping[str, Mode]) -> None:
        index = len(self.checks)
        self.checks.append(check)
        self.directions.update(directions)
        for name, value in check.metrics.items():
            self.series.setdefault(name, []).append((index, check.epoch, value))
        if check.ends_epoch:
            self._end_epoch(check.epoch)

    def _end_epoch(self, epoch: int) -> None:
        values: dict[str, float] = {}
        for check in reversed(self.checks):
            if check.epoch != epoch:
                break
            values = {**check.metrics, **values}
        for name, value in values.items():
            column = self.columns.setdefault(name, [])
            column.extend([math.nan] * (epoch - len(column)))
            column.append(value)
        self.epochs = epoch + 1


class Column(Sequence[float]):
    """The values of one metric, one per epoch; NaN where it was not logged."""

    def __init__(self, values: list[float], epochs: int) -> None:
        self._values = values
        self._epochs = epochs

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
        return self._values[epoch] if epoch < len(self._values) else math.nan

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:.4g}" for value in self[-5:])
        return f"[{'..., ' if self._epochs > 5 else ''}{shown}]"


class MetricHistory:
    """The metrics of a run, epoch by epoch.

    Appending returns a new history that shares its storage with the old one, which stays as it was.
    Copying one, deeply or not, gives the same object back.

    Example:
        >>> one = MetricHistory().append(0, {"val_loss": 0.9})
        >>> two = one.append(1, {"val_loss": 0.7, "val_acc": 0.8})
        >>> list(two["val_loss"]), list(two["val_acc"]), len(one)
        ([0.9, 0.7], [nan, 0.8], 1)
        >>> two.progress("val_loss", "min").best_epoch
        1
    """

    __slots__ = ("_epochs", "_log", "_size")

    def __init__(self) -> None:
        self._log = _Log()
        self._size = 0
        self._epochs = 0

    def append(
        self,
        epoch: int,
        metrics: Mapping[str, float],
        *,
        ends_epoch: bool = True,
        directions: Mapping[str, Mode] | None = None,
    ) -> MetricHistory:
        """A history with one check more; appending the same check twice gives the same history.

        Args:
            epoch: The epoch the metrics belong to, 0-based. Epochs may be left out (a run that began
                in the middle); their values read as NaN.
            metrics: What was logged since the last check.
            ends_epoch: Whether the epoch is over; only then does it count in ``len``.
            directions: The direction of the metrics that declare one.

        Raises:
            ValueError: If the epoch lies before one that is over.
        """
        if epoch < self._epochs:
            raise ValueError(f"append(epoch={epoch}): epoch {self._epochs - 1} is already over.")
        check = Check(epoch, ends_epoch, {name: float(value) for name, value in metrics.items()})
        known = self._log.checks[self._size :]
        if len(known) == 1 and repr(known[0]) == repr(check):
            return self._at_tip(self._log)
        log = self._copied_log() if known else self._log
        log.append(check, directions or {})
        return self._at_tip(log)

    def _copied_log(self) -> _Log:
        log = _Log()
        for check in self._log.checks[: self._size]:
            log.append(check, self._log.directions)
        return log

    @staticmethod
    def _at_tip(log: _Log) -> MetricHistory:
        history = MetricHistory.__new__(MetricHistory)
        history._log, history._size, history._epochs = log, len(log.checks), log.epochs
        return history

    @property
    def names(self) -> list[str]:
        """The metrics logged so far, in the order they first appeared."""
        return [name for name, series in self._log.series.items() if series[0][0] < self._size]

    @property
    def checks(self) -> int:
        """How many checks there are: one per validation pass, one per epoch end."""
        return self._size

    @property
    def directions(self) -> dict[str, Mode]:
        """The direction of every metric that declared one."""
        return dict(self._log.directions)

    def direction(self, name: str) -> Mode | None:
        """The direction that the metric itself declared, ``None`` where it declared none."""
        return self._log.directions.get(name)

    def __getitem__(self, name: str) -> Column:
        """The values of a metric, one per finished epoch.

        Raises:
            UnknownMetricError: If nothing has logged it.
        """
        if name not in self:
            raise UnknownMetricError(name, self.names, f"history[{name!r}]")
        return Column(self._log.columns.get(name, []), self._epochs)

    def __contains__(self, name: object) -> bool:
        series = self._log.series.get(name) if isinstance(name, str) else None
        return series is not None and series[0][0] < self._size

    def __len__(self) -> int:
        """How many epochs are over."""
        return self._epochs

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def latest(self, name: str) -> tuple[int, float]:
        """The epoch and the value of the newest check of a metric.

        Raises:
            UnknownMetricError: If nothing has logged it.
        """
        if name not in self:
            raise UnknownMetricError(name, self.names, f"history.latest({name!r})")
        _, epoch, value = self._series(name)[-1]
        return epoch, value

    def _series(self, name: str) -> list[tuple[int, int, float]]:
        series = self._log.series.get(name, [])
        if self._size == len(self._log.checks):
            return series
        return [entry for entry in series if entry[0] < self._size]

    def progress(self, name: str, mode: Mode, min_delta: float = 0.0) -> Progress:
        """How a metric has improved, as Lightning's EarlyStopping counts it; O(1) amortised.

        Args:
            name: The metric; one that nothing has logged has made no progress.
            mode: Its direction.
            min_delta: By how much a value must be better to count, in the metric's unit, 0 or more.
        """
        metric = MonitoredMetric(name, mode)
        start = Progress(metric.worst, -1, 0, 0)
        key = (name, mode, min_delta)
        series = self._series(name)
        known = self._log.progress.get(key, start)
        progress = known if known.checks <= len(series) else start
        for _, epoch, value in series[progress.checks :]:
            progress = _advanced(progress, metric, epoch, value, min_delta)
        if progress.checks > known.checks:
            self._log.progress[key] = progress
        return progress

    def extends(self, other: MetricHistory) -> bool:
        """Whether this history is the other one with nothing or something appended."""
        return self._log is other._log and self._size >= other._size

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per finished epoch: ``epoch`` and every metric, NaN where it was not logged."""
        columns = {name: self[name] for name in self.names}
        return [
            {"epoch": epoch, **{name: column[epoch] for name, column in columns.items()}}
            for epoch in range(self._epochs)
        ]

    def chunk(self, first: int) -> dict[str, Any]:
        """The checks from number ``first`` on, as JSON without NaN or infinities; see `from_chunks`."""
        checks = self._log.checks[first : self._size]
        names = list(dict.fromkeys(name for check in checks for name in check.metrics))
        return {
            "first": first,
            "names": names,
            "checks": [
                [check.epoch, int(check.ends_epoch), [_encoded(check, name) for name in names]]
                for check in checks
            ],
            "directions": self.directions,
        }

    @staticmethod
    def from_chunks(chunks: Sequence[Mapping[str, Any]]) -> MetricHistory:
        """The history whose `chunk`s these are, oldest first."""
        log = _Log()
        for chunk in chunks:
            for epoch, ends_epoch, values in chunk["checks"]:
                pairs = zip(chunk["names"], values, strict=True)
                metrics = {name: float(value) for name, value in pairs if value is not None}
                log.append(Check(epoch, bool(ends_epoch), metrics), chunk["directions"])
        return MetricHistory._at_tip(log)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MetricHistory):
            return NotImplemented
        return self.chunk(0) == other.chunk(0)

    def __copy__(self) -> MetricHistory:
        return self

    def __deepcopy__(self, memo: object) -> MetricHistory:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return MetricHistory.from_chunks, ([self.chunk(0)],)

    def __repr__(self) -> str:
        newest = ", ".join(f"{name}={self.latest(name)[1]:.4g}" for name in self.names[:6])
        return f"MetricHistory({self._epochs} epochs{': ' if newest else ''}{newest})"


def _advanced(
    progress: Progress, metric: MonitoredMetric, epoch: int, value: float, min_delta: float
) -> Progress:
    checks = progress.checks + 1
    if metric.improves(value, over=progress.best, min_delta=min_delta):
        return Progress(value, epoch, checks, 0)
    return Progress(progress.best, progress.best_epoch, checks, progress.checks_since_best + 1)


def _encoded(check: Check, name: str) -> float | str | None:
    value = check.metrics.get(name)
    return value if value is None or math.isfinite(value) else str(value)
