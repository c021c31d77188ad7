"""Names of histories, by which tables and figures tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def unique_names(addresses: Sequence[tuple[str, ...]]) -> list[str]:
    """The last part of each address, and as many before it as it takes to tell it from others.

    Args:
        addresses: What each history is called, from the outermost folder inwards.

    Returns:
        Names that are all different: where addresses are the same, they are counted.

    Example:
        >>> unique_names([("first", "version_0"), ("second", "version_0"), ("second", "version_1")])
        ['first/version_0', 'second/version_0', 'version_1']
        >>> unique_names([("a",), ("a",)])
        ['a', 'a (2)']
    """
    names = [address[-1] for address in addresses]
    for name, count in Counter(names).items():
        if count > 1:
            alike = [i for i, known in enumerate(names) if known == name]
            for i, longer in zip(alike, _told_apart([addresses[i] for i in alike]), strict=True):
                names[i] = longer
    return _counted(names)


def _told_apart(addresses: Sequence[tuple[str, ...]]) -> list[str]:
    different = len(set(addresses))
    if different == 1:
        return [address[-1] for address in addresses]
    parts = 1
    while len({address[-parts:] for address in addresses}) < different:
        parts += 1
    return ["/".join(address[-parts:]) for address in addresses]


def _counted(names: Sequence[str]) -> list[str]:
    taken: dict[str, None] = {}
    for name in names:
        number, candidate = 2, name
        while candidate in taken:
            candidate = f"{name} ({number})"
            number += 1
        taken[candidate] = None
    return list(taken)
