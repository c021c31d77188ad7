"""Errors of a machine, its conditions and the metrics that it reads."""

from __future__ import annotations

from collections.abc import Iterable

from .base import BurrLightningError


class MachineError(BurrLightningError, ValueError):
    """A graph that cannot drive a training run."""


class MetricsError(BurrLightningError, ValueError):
    """Metrics that cannot be kept for a module."""


class UnknownMetricError(BurrLightningError, LookupError):
    """A metric was asked for that nothing has logged.

    Attributes:
        metric: The name that was asked for.
        available: The names that do exist, sorted.
    """

    def __init__(self, metric: str, available: Iterable[str], asked_by: str) -> None:
        self.metric = metric
        self.available = sorted(available)
        known = ", ".join(self.available) or "none yet"
        super().__init__(
            f"{asked_by} needs the metric {metric!r}, and nothing logged it. Metrics logged so far: {known}. "
            f"Log it with self.log({metric!r}, ...), or use one of those names."
        )


class HistoryError(BurrLightningError, ValueError):
    """A recorded history cannot be found or read."""


class ConditionError(BurrLightningError, RuntimeError):
    """A condition of the machine failed while it was evaluated.

    Attributes:
        condition: The condition's name.
        available: The metrics that exist at this boundary, sorted.
    """

    def __init__(self, condition: str, error: BaseException, available: Iterable[str]) -> None:
        self.condition = condition
        self.available = sorted(available)
        known = ", ".join(self.available) or "none yet"
        super().__init__(
            f"The condition {condition!r} raised {type(error).__name__}: {error}. "
            f"Metrics logged so far: {known}. A condition must be able to read the state at every "
            f"boundary: use metrics.get(name) or a condition of burr_lightning.conditions."
        )


class RankFailedError(BurrLightningError, RuntimeError):
    """Another process of the training has failed, so that this one ends as well.

    Attributes:
        rank: Which one.
        what: Its error, in words.
    """

    def __init__(self, rank: int, what: str) -> None:
        self.rank, self.what = rank, what
        super().__init__(f"Rank {rank} failed, and the training ends on all of them. There: {what}")


class RankLostError(BurrLightningError, RuntimeError):
    """A process of the training does not answer any more.

    Attributes:
        rank: The one that has noticed it.
        size: How many there were.
    """

    def __init__(self, rank: int, size: int, error: BaseException) -> None:
        self.rank, self.size = rank, size
        super().__init__(
            f"Rank {rank} of {size} hears nothing of another one any more: that process has ended, or cannot "
            f"be reached ({error}). See what it wrote last. The same command goes on from the last commit."
        )
