"""A whole history in columns: what stop conditions are replayed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .metric import Mode

__all__ = ["Recording", "Series"]


@dataclass(frozen=True)
class Series:
    """The values of one metric, in the order in which they were logged.

    Example:
        >>> Series(at=[0, 2], values=[0.9, 0.7]).values
        [0.9, 0.7]
    """

    at: Sequence[int] | NDArray[np.int64]
    """The number of the check that each value was logged at, 0-based, rising."""
    values: Sequence[float]
    """The values, NaN and infinities as they were logged."""


@dataclass(frozen=True)
class Recording:
    """The history of a run that is over, or so far, in columns of one entry per check.

    A check is a boundary at which a stop condition is asked: a validation pass, or the end of an epoch.

    Example:
        >>> recording = Recording.of_epochs({"val_loss": [0.9, 0.7]}, name="first")
        >>> recording.name, len(recording), recording.finished_epochs.tolist()
        ('first', 2, [1, 2])
    """

    epochs: NDArray[np.int64]
    """The epoch of each check, 0-based."""
    ends_epoch: NDArray[np.bool_]
    """Whether the epoch ended with the check."""
    series: Mapping[str, Series]
    """The metrics."""
    directions: Mapping[str, Mode] = field(default_factory=dict)
    """The direction of the metrics that declare one."""
    steps: NDArray[np.float64] | None = None
    """Optimizer steps taken until each check, ``None`` where nobody recorded them."""
    seconds: NDArray[np.float64] | None = None
    """Seconds of training until each check, ``None`` where nobody recorded them."""
    name: str = ""
    """What it is called in tables and figures."""

    def __len__(self) -> int:
        """How many checks there are."""
        return len(self.epochs)

    @property
    def finished_epochs(self) -> NDArray[np.int64]:
        """How many epochs are over at each check."""
        finished: NDArray[np.int64] = np.maximum.accumulate(np.where(self.ends_epoch, self.epochs + 1, 0))
        return finished

    @staticmethod
    def of_epochs(columns: Mapping[str, Sequence[float]], name: str = "", **facts: Any) -> Recording:
        """A recording with one check per epoch, at which every metric was logged.

        Args:
            columns: The values of each metric, equally many.
            name: What it is called.
            facts: ``directions``, ``steps`` and ``seconds``, as above.

        Raises:
            ValueError: If the columns are not equally long.

        Example:
            >>> len(Recording.of_epochs({"val_loss": [0.9, 0.7], "val_acc": [0.5, 0.6]}))
            2
        """
        lengths = {metric: len(values) for metric, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Recording.of_epochs(...): the columns are of different lengths: {lengths}.")
        epochs = np.arange(max(lengths.values(), default=0))
        series = {metric: Series(epochs, list(values)) for metric, values in columns.items()}
        return Recording(epochs, np.ones(len(epochs), dtype=bool), series, name=name, **facts)
