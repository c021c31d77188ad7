"""The metrics of a run, epoch by epoch: immutable to its readers, O(1) to append to."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import MissingExtraError, UnknownMetricError
from .history_forms import as_dicts, as_recording, decoded, encoded, newer_checks
from .improvements import SinceBest
from .metric import Mode, MonitoredMetric
from .metric_log import Check, Column, MetricLog, Statistic
from .recording import Recording


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

    __slots__ = ("_epochs", "_is_tail", "_log", "_size")

    def __init__(self) -> None:
        self._log = MetricLog()
        self._size = 0
        self._epochs = 0
        self._is_tail = False

    def append(
        self,
        epoch: int,
        metrics: Mapping[str, float],
        *,
        ends_epoch: bool = True,
        directions: Mapping[str, Mode] | None = None,
        step: int | None = None,
        seconds: float | None = None,
    ) -> MetricHistory:
        """A history with one check more; appending the same check twice gives the same history.

        Args:
            epoch: The epoch the metrics belong to, 0-based. Epochs may be left out (a run that began
                in the middle); their values read as NaN. The newest epoch that is over may have another
                check, as of a validation that comes late.
            metrics: What was logged since the last check.
            ends_epoch: Whether the epoch is over; only then does it count in ``len``.
            directions: The direction of the metrics that declare one.
            step: Optimizer steps taken until then, ``None`` where that is not known.
            seconds: Seconds of training until then, ``None`` where that is not known.

        Raises:
            TypeError: If the epoch is no whole number.
            ValueError: If the epoch lies before one that is over, or is over and does not end.
        """
        epoch = operator.index(epoch)
        if epoch < max(self._epochs - 1, 0) or (epoch == self._epochs - 1 and not ends_epoch):
            why = f"epoch {self._epochs - 1} is already over" if self._epochs else "it must be 0 or more"
            raise ValueError(f"append(epoch={epoch}): {why}.")
        values = {name: float(value) for name, value in metrics.items()}
        steps, spent = None if step is None else int(step), None if seconds is None else float(seconds)
        check = Check(epoch, ends_epoch, values, steps, spent)
        known = self._log.checks[self._size :]
        if len(known) == 1 and known[0].says_what(check):
            self._log.declare(self._size, directions or {})
            return self._at_tip(self._log)
        log = self._copied_log() if known or self._is_tail else self._log
        log.append(check, directions or {})
        return self._at_tip(log)

    def _copied_log(self) -> MetricLog:
        log = MetricLog(self._log.first_epoch)
        for number, check in enumerate(self._log.checks[: self._size]):
            log.append(check, self._log.directions_at(number + 1))
        return log

    @staticmethod
    def _at_tip(log: MetricLog) -> MetricHistory:
        history = MetricHistory.__new__(MetricHistory)
        history._log, history._size, history._epochs = log, len(log.checks), log.epochs
        history._is_tail = False
        return history

    @property
    def names(self) -> list[str]:
        """The metrics logged so far, in the order they first appeared."""
        return [name for name, logged_at in self._log.logged_at.items() if logged_at[0] < self._size]

    @property
    def checks(self) -> int:
        """How many checks there are: one per validation pass, one per epoch end."""
        return self._size

    @property
    def seconds(self) -> float | None:
        """Seconds of training until the newest check, ``None`` where nobody recorded them."""
        return self._log.checks[self._size - 1].seconds if self._size else None

    @property
    def directions(self) -> dict[str, Mode]:
        """The direction of every metric that declared one."""
        return self._log.directions_at(self._size)

    def direction(self, name: str) -> Mode | None:
        """The direction that the metric itself declared, ``None`` where it declared none."""
        return self._log.directions_at(self._size).get(name)

    def __getitem__(self, name: str) -> Column:
        """The values of a metric, one per finished epoch.

        Raises:
            UnknownMetricError: If nothing has logged it.
        """
        if name not in self:
            raise UnknownMetricError(name, self.names, f"history[{name!r}]")
        late = self._log.late.get(name, {})
        column = self._log.columns.get(name, [])
        return Column(column, self._log.first_epoch, self._epochs, late, self._size)

    def __contains__(self, name: object) -> bool:
        logged_at = self._log.logged_at.get(name) if isinstance(name, str) else None
        return logged_at is not None and logged_at[0] < self._size

    def __len__(self) -> int:
        """How many epochs are over."""
        return self._epochs

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def latest(self, name: str, back: int = 0) -> tuple[int, float]:
        """The epoch and the value of the newest check of a metric.

        Args:
            name: The metric.
            back: So many checks of this metric before its newest one, 0 or more.

        Raises:
            UnknownMetricError: If nothing has logged it.
            IndexError: If it was not logged as often as that.
        """
        if name not in self:
            raise UnknownMetricError(name, self.names, f"history.latest({name!r})")
        count = self._log.logged(name, self._size)
        if not 0 <= back < count:
            raise IndexError(f"history.latest({name!r}, back={back}): it was logged at {count} checks.")
        check = self._log.checks[self._log.logged_at[name][count - 1 - back]]
        return check.epoch, check.metrics[name]

    def progress(self, name: str, mode: Mode, min_delta: float = 0.0) -> Progress:
        """How a metric has improved, as Lightning's EarlyStopping counts it; O(1) amortised.

        Args:
            name: The metric; one that nothing has logged has made no progress.
            mode: Its direction.
            min_delta: By how much a value must be better to count, in the metric's unit, 0 or more.
        """
        metric = MonitoredMetric(name, mode)
        since = self.statistic(SinceBest(metric, min_delta))
        if since is None:
            return Progress(metric.worst, -1, 0, 0)
        checks = self._log.logged(name, self._size)
        if since == checks:
            return Progress(metric.worst, -1, checks, checks)
        epoch, best = self.latest(name, back=int(since))
        return Progress(best, epoch, checks, int(since))

    def statistic(self, statistic: Statistic) -> float | None:
        """The newest number of a statistic; O(1) amortised, for each number is computed once.

        Returns:
            ``None`` where none of its metrics was logged yet; NaN where it has no number yet.
        """
        return self._log.newest(statistic, self._size)

    def since(self, check: int) -> MetricHistory:
        """What was logged from a check on, as if nothing had been logged before; O(1) amortised.

        Epochs keep their numbers, and those that are over count in ``len``.

        Args:
            check: How many checks to leave out, 0 or more.
        """
        if check <= 0:
            return self
        history = MetricHistory()
        if check < self._size:
            history._log, history._size, history._is_tail = self._log.tail(check), self._size - check, True
            history._epochs = self._epochs
        return history

    def extends(self, other: MetricHistory) -> bool:
        """Whether this history is the other one with nothing or something appended."""
        return self._log is other._log and self._size >= other._size

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per finished epoch: ``epoch``, and every metric that was logged in it.

        ``step`` and ``seconds`` are the optimizer steps and the seconds of training until its end, where
        they were recorded. A metric of one of these three names is left out for them.
        """
        return as_dicts(self._log.checks[: self._size], self._epochs)

    def to_numpy(self) -> dict[str, NDArray[np.float64]]:
        """One array per metric, one value per finished epoch; NaN where it was not logged."""
        return {name: np.array(self[name][:], dtype=np.float64) for name in self.names}

    def to_pandas(self) -> Any:
        """A data frame: one row per finished epoch, one column per metric; NaN where it was not logged.

        Raises:
            MissingExtraError: Without pandas, which the extra ``pandas`` brings.
        """
        try:
            import pandas
        except ModuleNotFoundError as error:
            raise MissingExtraError("history.to_pandas()", "pandas", "pandas") from error
        epochs = pandas.RangeIndex(self._epochs, name="epoch")
        return pandas.DataFrame(self.to_numpy(), index=epochs, columns=self.names)

    def recording(self, name: str = "", monitor: Mapping[str, Any] | None = None) -> Recording:
        """All checks in columns, for stop conditions to be replayed on.

        Args:
            name: What it is called in tables and figures.
            monitor: The run's monitored metric: its direction counts where it declares none itself.
        """
        given = {monitor["metric"]: monitor["mode"]} if monitor is not None and monitor["mode"] else {}
        return as_recording(self._log.checks[: self._size], {**given, **self.directions}, name)

    def chunk(self, first: int) -> dict[str, Any]:
        """The checks from number ``first`` on, as JSON without NaN or infinities; see `from_chunks`."""
        checks = self._log.checks[first : self._size]
        names = list(dict.fromkeys(name for check in checks for name in check.metrics))
        return {
            "first": first,
            "names": names,
            "checks": [encoded(check, names) for check in checks],
            "directions": self.directions,
        }

    @staticmethod
    def from_chunks(chunks: Sequence[Mapping[str, Any]]) -> MetricHistory:
        """The history of what `chunk` has given, oldest first."""
        log = MetricLog()
        for chunk in chunks:
            for row in chunk["checks"]:
                log.append(decoded(row, chunk["names"]), chunk["directions"])
        return MetricHistory._at_tip(log)

    def with_chunks(self, chunks: Sequence[Mapping[str, Any]]) -> MetricHistory | None:
        """This history and what is newer in chunks, the oldest first; ``None`` where they do not fit it."""
        newer = newer_checks(self._log.checks, self._size, chunks)
        history = self
        for (epoch, ends, metrics, step, seconds), directions in newer or ():
            when: dict[str, Any] = {"step": step, "seconds": seconds}
            history = history.append(epoch, metrics, ends_epoch=ends, directions=directions, **when)
        return history if newer is not None else None

    def __eq__(self, other: object) -> bool:
        """Whether the same was logged at the same checks; the clock is not compared."""
        if not isinstance(other, MetricHistory):
            return NotImplemented
        checks = zip(self._log.checks[: self._size], other._log.checks[: other._size], strict=False)
        same = self._size == other._size and self.directions == other.directions
        return same and all(mine.says_what(theirs) for mine, theirs in checks)

    def __copy__(self) -> MetricHistory:
        return self

    def __deepcopy__(self, memo: object) -> MetricHistory:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return MetricHistory.from_chunks, ([self.chunk(0)],)

    def __repr__(self) -> str:
        newest = ", ".join(f"{name}={self.latest(name)[1]:.4g}" for name in self.names[:6])
        newest += ", ..." if len(self.names) > 6 else ""
        return f"MetricHistory({self._epochs} epochs{': ' if newest else ''}{newest})"
