"""How an error lists names: of many only ten."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN = 10


def listed(names: Sequence[str]) -> str:
    """Names in words, the first ones."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more


def newest_listed(names: Sequence[str]) -> str:
    """Names in words, the last ones."""
    more = f" and {len(names) - _SHOWN} older ones" if len(names) > _SHOWN else ""
    return (", ".join(names[-_SHOWN:]) or "none") + more
