"""Which metrics share an axis, and how that axis is scaled."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..history import MetricHistory


def groups_of(history: MetricHistory) -> dict[str, list[str]]:
    """The metrics by what they measure: ``train_loss`` and ``val_loss`` share an axis.

    Example:
        >>> history = MetricHistory().append(0, {"train_loss": 0.9, "val_loss": 0.7, "val_acc": 0.6})
        >>> groups_of(history)
        {'loss': ['train_loss', 'val_loss'], 'acc': ['val_acc']}
    """
    groups: dict[str, list[str]] = {}
    for name in names_of(history):
        groups.setdefault(name.rsplit("_", 1)[-1], []).append(name)
    return groups or {"metrics": []}


def names_of(history: MetricHistory) -> list[str]:
    """The metrics, without what Lightning logs a second time under ``_step`` and ``_epoch``."""
    return [name for name in history.names if not name.endswith(("_step", "_epoch"))]


def spans_magnitudes(values: Sequence[float]) -> bool:
    """Whether a linear axis would show the largest values and nothing of the others.

    Example:
        >>> spans_magnitudes([1e-4, 3.0]), spans_magnitudes([0.2, 3.0])
        (True, False)
    """
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > 1000 * min(finite)


@dataclass(frozen=True)
class Curve:
    """What a metric's line is drawn from; an epoch in which it was not logged is no point of it."""

    epochs: list[int]
    """The epochs in which it was logged."""
    values: list[float]
    """The values in these, NaN where it was logged and was not finite: there the line has a gap."""
    not_finite: dict[int, float]
    """The epochs of the gaps, and what was logged in them: NaN, or an infinity."""

    @property
    def finite(self) -> list[tuple[int, float]]:
        """The epochs in which it was finite, and the values."""
        pairs = zip(self.epochs, self.values, strict=True)
        return [(epoch, value) for epoch, value in pairs if epoch not in self.not_finite]

    def since(self, epoch: int) -> Curve:
        """What of it is there from an epoch on."""
        first = bisect_left(self.epochs, epoch)
        gaps = {at: value for at, value in self.not_finite.items() if at >= epoch}
        return Curve(self.epochs[first:], self.values[first:], gaps)


def curve_of(history: MetricHistory, name: str) -> Curve:
    """The curve of a metric, over the epochs that are over."""
    gaps = _not_finite(history, name)
    points = [
        (epoch, value) for epoch, value in enumerate(history[name]) if math.isfinite(value) or epoch in gaps
    ]
    return Curve(
        [epoch for epoch, _ in points],
        [value if math.isfinite(value) else math.nan for _, value in points],
        gaps,
    )


def gaps_in_words(not_finite: Mapping[int, float]) -> str:
    """Where a metric was not finite.

    Example:
        >>> gaps_in_words({3: math.nan, 4: math.nan, 9: -math.inf})
        'NaN in 2 epochs, -inf in epoch 9'
    """
    kinds: dict[str, list[int]] = {}
    for epoch, value in not_finite.items():
        kinds.setdefault("NaN" if math.isnan(value) else str(value), []).append(epoch)
    return ", ".join(
        f"{kind} in {f'epoch {epochs[0]}' if len(epochs) == 1 else f'{len(epochs)} epochs'}"
        for kind, epochs in kinds.items()
    )


def _not_finite(history: MetricHistory, name: str) -> dict[int, float]:
    """The epochs at whose end a metric was not finite, told from those in which nobody logged it."""
    values = history[name]
    if all(map(math.isfinite, values)):
        return {}
    recording = history.recording()
    series = recording.series[name]
    newest = dict(zip(recording.epochs[series.at].tolist(), map(float, series.values), strict=True))
    return {
        epoch: logged
        for epoch, logged in newest.items()
        if epoch < len(history) and not math.isfinite(values[epoch]) and not math.isfinite(logged)
    }
