"""A statistic of metrics, held against a limit: what most stop conditions are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from burr.core import State
from numpy.typing import NDArray

from ..history import MetricHistory
from ..logged import Logged
from ..metric import Mode, MonitoredMetric
from ..metric_log import Statistic
from .base import StopCondition
from .columns import Columns
from .direction import direction_of, hint
from .truths import UNKNOWN, Truths, held, known, unknown


@dataclass(frozen=True)
class Reading:
    """What a condition found in a state."""

    history: MetricHistory
    metric: MonitoredMetric
    """The metric that the condition is about, in the direction it is read in."""
    assumed: bool
    """Whether that direction had to be assumed."""
    number: float
    """The newest number of the statistic; NaN where there is none yet."""
    holds: bool | None
    """Whether the condition holds, ``None`` where that is not known yet."""

    @property
    def newest(self) -> str:
        """The newest value of the metric and its epoch, in words."""
        epoch, value = self.history.latest(self.metric.name)
        return f"{value:.4g} (epoch {epoch})"


@dataclass(frozen=True)
class Newest:
    """A statistic: the newest value itself."""

    metric: str

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric that it is taken of."""
        return (self.metric,)

    def values(self, logged: Any) -> Any:
        """The value of each check."""
        return (value for _, value in logged)

    def over(self, logged: Logged) -> NDArray[Any]:
        """The values themselves."""
        return logged.values[0]


class Measured(StopCondition):
    """True where a statistic lies beyond a limit.

    It reads ``history``, and the direction of the monitored metric from ``monitor`` where a state has that.

    Args:
        name: How the user wrote it.
        metrics: What the statistic is taken of; the last one gives the direction.
        mode: The direction, ``None`` where the metric or the run knows it.
        statistic: The statistic, by direction.
        holds: Whether a number lies beyond the limit, by number and direction; it takes arrays too.
        say: The numbers behind it, in words.
        turns: Whether the direction matters to it.
        nan_decides: Whether ``holds`` is asked of NaN too; else NaN means that nothing is known yet.
    """

    def __init__(
        self,
        name: str,
        metrics: Sequence[str],
        mode: Mode | None,
        statistic: Callable[[Mode], Statistic],
        holds: Callable[[Any, Mode], Any],
        say: Callable[[Reading], str],
        *,
        turns: bool = True,
        nan_decides: bool = False,
    ) -> None:
        super().__init__(name, ["history"], self._checked, metrics, self._replayed)
        self._metric, self._needed, self._mode = metrics[-1], tuple(metrics), mode
        self._statistic, self._holds, self._say = statistic, holds, say
        self._turns, self._nan_decides = turns, nan_decides

    def truth(self, state: State[Any]) -> bool | None:
        """Whether it is true of a state; ``None`` where that is not known yet."""
        reading = self._reading(state)
        return reading.holds if isinstance(reading, Reading) else None

    def _checked(self, state: State[Any]) -> tuple[bool | None, str]:
        reading = self._reading(state)
        if isinstance(reading, str):
            return None, reading
        return reading.holds, self._say(reading) + hint(self._metric, reading.assumed and self._turns)

    def _reading(self, state: State[Any]) -> Reading | str:
        history: MetricHistory = state["history"]
        missing = [metric for metric in self._needed if metric not in history]
        if missing:
            return f"{', '.join(missing)} {'was' if len(missing) == 1 else 'were'} not logged yet"
        declared = {self._metric: direction} if (direction := history.direction(self._metric)) else {}
        mode, assumed = direction_of(self._metric, self._mode, declared, state.get("monitor"))
        number = history.statistic(self._statistic(mode))
        assumed_metric = MonitoredMetric(self._metric, mode)
        assert number is not None
        decides = self._nan_decides or not math.isnan(number)
        holds = bool(self._holds(number, mode)) if decides else None
        return Reading(history, assumed_metric, assumed, number, holds)

    def _replayed(self, columns: Columns) -> Truths:
        recording = columns.recording
        if any(metric not in recording.series for metric in self._needed):
            return unknown(len(recording))
        mode, _ = direction_of(self._metric, self._mode, recording.directions, None)
        at, numbers = columns.numbers(self._statistic(mode))
        truths = known(self._holds(numbers, mode), None if self._nan_decides else np.isnan(numbers))
        if len(self._needed) > 1:
            first = max(int(recording.series[metric].at[0]) for metric in self._needed)
            truths[at < first] = UNKNOWN
        return held(at, truths, len(recording))
