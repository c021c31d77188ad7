"""What the contracts say where a rule is broken."""

from __future__ import annotations


def hold(value: object, otherwise: str) -> None:
    """See that something is so, also where Python leaves out ``assert``.

    Args:
        value: Whether it is.
        otherwise: Which rule is broken else, and where.

    Raises:
        AssertionError: If it is not.
    """
    if not value:
        raise AssertionError(otherwise)
