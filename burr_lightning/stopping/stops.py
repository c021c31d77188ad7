"""Where each condition stops each recorded history, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from burr.core import Condition
from numpy.typing import NDArray

from ..conditions.replayed import first_stops, reason_at
from ..metric import MonitoredMetric
from ..recording import Recording


@dataclass(frozen=True)
class Stop:
    """Where one condition stops one history.

    Example:
        >>> from burr_lightning import compare_stopping
        >>> from burr_lightning.conditions import plateau
        >>> history = [{"val_loss": loss} for loss in (0.9, 0.5, 0.6, 0.55, 0.4)]
        >>> comparison = compare_stopping(history, {"impatient": plateau("val_loss", 2)}, "val_loss")
        >>> [stop] = comparison.stops
        >>> stop.epoch, stop.best, round(stop.regret, 2), stop.epochs_saved
        (3, 0.5, 0.1, 1)
    """

    history: str
    """The name of the history."""
    condition: str
    """The name of the condition."""
    check: int | None
    """The check at which it is true first, 0-based; ``None`` where it never is: then it trains to the end."""
    epoch: int | None
    """The epoch of that check, 0-based, ``None`` where it never stops."""
    epochs: int
    """How many epochs are trained from epoch 0 on, the one that is cut short included: those that nobody
    recorded count too."""
    best: float | None
    """The best value of the monitored metric up to then, ``None`` where it has none."""
    best_epoch: int | None
    """The epoch of that value."""
    regret: float | None
    """By how much the best value of the whole history is better, 0 or more, in the metric's unit; infinite
    where it stops before any finite value, ``None`` where the best value of the history is not finite."""
    epochs_saved: int
    """How many epochs of the history are not trained."""
    seconds_saved: float | None
    """How many seconds of training that saves, ``None`` where nobody recorded them."""
    _replay: tuple[Condition | None, Recording] = field(repr=False, compare=False)

    @cached_property
    def reason(self) -> str | None:
        """Why it stops, with the numbers; ``None`` where it never does."""
        condition, recording = self._replay
        if self.check is None or condition is None:
            return None
        return reason_at(condition, recording, self.check)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the reason, by name."""
        names = (name for name in self.__dataclass_fields__ if not name.startswith("_"))
        return {name: getattr(self, name) for name in names}


class Curve:
    """The best value of the monitored metric so far, at every check of a recording.

    Epochs are counted in one way everywhere, as `max_epochs` counts them: the number of the epoch and one.

    Args:
        recording: The history.
        metric: The monitored metric.
    """

    def __init__(self, recording: Recording, metric: MonitoredMetric) -> None:
        self.recording = recording
        series = recording.series[metric.name]
        at = np.asarray(series.at, dtype=np.int64)
        values = np.asarray(series.values, dtype=np.float64)
        lower = values if metric.mode == "min" else -values
        lowest = np.minimum.accumulate(np.where(np.isnan(lower), math.inf, lower))
        improved = np.concatenate([[True], lowest[1:] < lowest[:-1]]) if len(at) else np.zeros(0, dtype=bool)
        best_at = np.maximum.accumulate(np.where(improved, np.arange(len(at)), 0))
        newest = np.searchsorted(at, np.arange(len(recording)), side="right") - 1
        self._lowest = np.where(newest >= 0, lowest[newest], math.inf) if len(at) else self._nothing()
        self._best_epoch = recording.epochs[at[best_at]][newest] if len(at) else recording.epochs
        self._sign = 1.0 if metric.mode == "min" else -1.0
        self._epochs = recording.epochs + 1

    def _nothing(self) -> NDArray[np.float64]:
        return np.full(len(self.recording), math.inf)

    @property
    def epochs(self) -> int:
        """How many epochs are trained to the end."""
        return int(self._epochs[-1]) if len(self._epochs) else 0

    def regrets_by_epoch(self) -> NDArray[np.float64]:
        """The regret of training 1, 2, ... epochs, also of those without a check; NaN where there is none."""
        last_checks = np.searchsorted(self._epochs, np.arange(1, self.epochs + 1), side="right") - 1
        return self._regrets(np.where(last_checks >= 0, self._lowest[last_checks], math.inf))

    def stops(self, conditions: Mapping[str, Condition]) -> list[Stop]:
        """Where each condition stops the history."""
        checks = first_stops(conditions.values(), self.recording)
        named = zip(conditions.items(), checks, strict=True)
        return [self._at(check, name, condition) for (name, condition), check in named]

    def to_the_end(self, name: str) -> Stop:
        """What never stops."""
        return self._at(None, name, None)

    def _at(self, check: int | None, name: str, condition: Condition | None) -> Stop:
        last = len(self.recording) - 1 if check is None else check
        epochs = int(self._epochs[last]) if last >= 0 else 0
        return self._stop(name, last, epochs, condition, stops=check is not None)

    def after(self, name: str, epochs: int) -> Stop:
        """The stop after so many epochs, whether or not there is a check at the end of the last one."""
        last = int(np.searchsorted(self._epochs, epochs, side="right")) - 1
        return self._stop(name, last, min(epochs, self.epochs), None, stops=epochs <= self.epochs)

    def _stop(self, name: str, last: int, epochs: int, condition: Condition | None, *, stops: bool) -> Stop:
        """The end of a training, after which check (-1: before the first) and how many epochs it may be."""
        lowest = float(self._lowest[last]) if last >= 0 else math.inf
        regret = float(self._regrets(np.array([lowest]))[0])
        known = lowest < math.inf
        return Stop(
            history=self.recording.name,
            condition=name,
            check=last if stops and last >= 0 else None,
            epoch=epochs - 1 if stops else None,
            epochs=epochs,
            best=lowest * self._sign if known else None,
            best_epoch=int(self._best_epoch[last]) if known else None,
            regret=None if math.isnan(regret) else regret,
            epochs_saved=self.epochs - epochs,
            seconds_saved=self._seconds_after(last, epochs),
            _replay=(condition, self.recording),
        )

    def _regrets(self, lowest: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far best values are from the best of all, infinite for those that are not there yet."""
        best = float(self._lowest[-1]) if len(self._lowest) else math.inf
        return lowest - best if math.isfinite(best) else np.full(len(lowest), math.nan)

    def _seconds_after(self, check: int, epochs: int) -> float | None:
        """The seconds between a check and the end, ``None`` where they, or the check's epoch, are unknown."""
        seconds = self.recording.seconds
        if seconds is None or check < 0 or self._epochs[check] != epochs:
            return None
        saved = float(seconds[-1] - seconds[check])
        return saved if math.isfinite(saved) else None
