"""Counts that machines are given."""

from __future__ import annotations

from ..errors import ArgumentError


def checked_count(call: str, name: str, value: object) -> None:
    """See that a count is a whole number, 1 or more.

    Raises:
        ArgumentError: If it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ArgumentError(f"{call}({name}={value!r}): it must be a whole number, 1 or more.")
