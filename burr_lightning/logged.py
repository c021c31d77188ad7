"""What metrics have logged, in columns: what a statistic is taken of when a history is over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Logged:
    """The values of some metrics, in columns of one entry per check at which one of them was logged."""

    epochs: NDArray[np.int64]
    """The epoch of each check, 0-based."""
    values: tuple[NDArray[np.float64], ...]
    """The values of each metric, NaN where it was not logged."""
    there: tuple[NDArray[np.bool_], ...]
    """Where each metric was logged: NaN is a value too."""
