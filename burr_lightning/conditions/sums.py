"""Sums to the same bits, one by one and over columns.

Python's own ``sum`` corrects its rounding errors since 3.12, NumPy's adds in pairs: neither gives what the
other does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def total(terms: Iterable[float]) -> float:
    """The sum of the terms, added from the first to the last.

    Example:
        >>> total([1e16, 1.0, 1.0, -1e16])
        0.0
    """
    found = 0.0
    for term in terms:
        found += term
    return found


def totals(terms: Iterable[NDArray[np.float64]], count: int) -> NDArray[Any]:
    """`total` of each place of ``count`` long columns of terms.

    Example:
        >>> totals(np.array([[1e16, 1], [1, 1], [1, 1], [-1e16, 1]]), 2).tolist()
        [0.0, 4.0]
    """
    found = np.zeros(count)
    for term in terms:
        found += term
    return found
