"""Fewer points of a curve, so that no peak, valley or gap of it is lost."""

from __future__ import annotations

from collections.abc import Sequence

MOST_POINTS = 2000
"""Points of a curve that a page is sent: more than a screen has columns."""

Curve = tuple[list[int], list[float | None]]


def thinned(at: Sequence[int], values: Sequence[float | None], most: int = MOST_POINTS) -> Curve:
    """The curve, where it has more points than that with only the lowest and the highest of each stretch.

    Args:
        at: Where each point is.
        values: The points, ``None`` for a gap.
        most: How many to keep at most, 8 or more, first and last among them.

    Example:
        >>> at, values = thinned(range(100), [float(i == 40) for i in range(100)], most=8)
        >>> len(at) <= 8, at[0], at[-1], 40 in at
        (True, 0, 99, True)
    """
    if len(at) <= most:
        return list(at), list(values)
    stretches = (most - 2) // 3  # each gives its lowest, its highest and a gap, at most
    kept = {0, len(at) - 1}
    for number in range(stretches):
        first, end = (len(at) * n // stretches for n in (number, number + 1))
        kept |= _standing_out(values, first, end)
    order = sorted(kept)
    return [at[i] for i in order], [values[i] for i in order]


def _standing_out(values: Sequence[float | None], first: int, end: int) -> set[int]:
    known = [(value, i) for i in range(first, end) if (value := values[i]) is not None]
    gap = next(({i} for i in range(first, end) if values[i] is None), set())
    return {min(known)[1], max(known)[1]} | gap if known else gap
