"""One thing that was looked at, and whether it is as it should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["fine", "note", "problem"]
"""``problem``: it stays so until somebody does something. ``note``: good to know, and harmless."""

_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """What was found."""

    section: str
    level: Level
    text: str
    """In words, with what to do where there is something to do."""
    paths: tuple[str, ...] = ()
    """The files and folders that it is about, all of them."""


def about(section: str, level: Level, text: str, paths: Iterable[Path]) -> Finding:
    """A finding about files: the first of them stand behind its text."""
    places = tuple(map(str, paths))
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return Finding(section, level, f"{text}: {', '.join(places[:_NAMED])}{more}", places)


def count(number: int, one: str, many: str = "") -> str:
    """A number of things.

    Example:
        >>> count(1, "file"), count(3, "file"), count(2, "torn copy", "torn copies")
        ('1 file', '3 files', '2 torn copies')
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
