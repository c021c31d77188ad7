"""The truth of a condition at every check of a recording, in one array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Truths = NDArray[np.int8]
"""One truth per check. In Kleene's logic "and" is the least of them, "or" the greatest."""

FALSE, UNKNOWN, TRUE = 0, 1, 2


def held(at: NDArray[np.int64], truths: Truths, checks: int) -> Truths:
    """Truths at some checks, each held until the next one; before the first nothing is known."""
    if len(at) == checks:
        return truths
    newest = np.searchsorted(at, np.arange(checks), side="right") - 1
    return np.where(newest >= 0, truths[newest], np.int8(UNKNOWN)) if len(at) else unknown(checks)


def unknown(checks: int) -> Truths:
    """Truths of which nothing is known."""
    return np.full(checks, UNKNOWN, dtype=np.int8)


def known(holds: NDArray[np.bool_], nowhere: NDArray[np.bool_] | None = None) -> Truths:
    """Truths from where a condition holds; nothing is known where ``nowhere`` says so."""
    truths = holds.astype(np.int8)
    truths *= TRUE
    if nowhere is not None:
        truths[nowhere] = UNKNOWN
    return truths
