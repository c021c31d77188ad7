"""Some steps of a tracker's log, read where they are in the file: a log of 5,000 epochs has 30 MB."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..steps import log_entry

_BLOCK = 1 << 18
"""Bytes that are read at once, from the end towards the beginning."""


@dataclass(frozen=True)
class LogWindow:
    """Steps that follow one another, and the marked ones before them."""

    lines: tuple[bytes, ...] = ()
    """Their lines, in the order of the log."""
    first: int = 0
    """The number of the first of the steps that follow one another."""
    end: int = 0
    """The number behind the last one."""
    steps: int = 0
    """The number behind the newest step of the whole log: how many there are, unless the run is a fork."""
    has_older: bool = False
    """Whether the log has steps before the first one."""
    marked: tuple[int, ...] = field(default=())
    """The numbers of the marked steps that are there although they are older."""


def read_window(path: Path, most: int, before: int | None = None, marked: Iterable[int] = ()) -> LogWindow:
    """Read the newest steps of a log, and nothing of what is older.

    Args:
        path: The log; where there is none, there are no steps.
        most: How many steps to give, apart from the marked ones.
        before: Only steps with a smaller number count; ``None`` for all.
        marked: The numbers of steps that are wanted however old they are.
    """
    try:
        with open(path, "rb") as log:
            return _window(log, most, before, marked)
    except FileNotFoundError:
        return LogWindow()


def count_steps(path: Path) -> int:
    """The number behind the newest step of a log, by its last lines."""
    try:
        with open(path, "rb") as log:
            return _newest(log, os.fstat(log.fileno()).st_size) + 1
    except FileNotFoundError:
        return 0


def _window(log: BinaryIO, most: int, before: int | None, marked: Iterable[int]) -> LogWindow:
    size = os.fstat(log.fileno()).st_size
    steps = _newest(log, size) + 1
    until = size if before is None else _place_of(log, size, before)
    found: list[bytes] = []
    first, begun, has_older = None, 0, False
    for entry, line in _backwards(log, until):
        if has_older := begun == most:
            break
        found.append(line)
        if entry["type"] == "begin_entry":
            first, begun = entry["sequence_id"], begun + 1
    if first is None:
        return LogWindow(steps=steps)
    older = sorted({number for number in marked if 0 <= number < first})
    end = steps if before is None else min(before, steps)
    lines = [line for number in older for line in _lines_of(log, size, number)]
    return LogWindow((*lines, *reversed(found)), first, end, steps, has_older, tuple(older))


def _newest(log: BinaryIO, size: int) -> int:
    """The number of the newest step, -1 where there is none."""
    return next((number_of(entry) for entry, _ in _backwards(log, size)), -1)


def _backwards(log: BinaryIO, until: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The entries before a place and their lines, the last one first.

    A line that is no entry is left out: the last one while it is being written, or where the process was
    killed in it. Burr's server fails at it, and shows nothing of the run.
    """
    rest: list[bytes] = []
    for block in _blocks(log, until):
        head, *lines = block.split(b"\n")
        if lines:
            lines[-1] = b"".join([lines[-1], *reversed(rest)])
            rest = []
            for line in reversed(lines):
                if entry := _entry(line):
                    yield entry, line
        rest.append(head)
    if entry := _entry(line := b"".join(reversed(rest))):
        yield entry, line


def _blocks(log: BinaryIO, until: int) -> Iterator[bytes]:
    while until > 0:
        begin = max(0, until - _BLOCK)
        log.seek(begin)
        yield log.read(until - begin)
        until = begin


def _entry(line: bytes) -> dict[str, Any]:
    entry = log_entry(line) if line else {}
    return entry if isinstance(entry.get("type"), str) and number_of(entry) >= 0 else {}


def number_of(entry: dict[str, Any]) -> int:
    """The number of the step that an entry belongs to, -1 where it belongs to none."""
    number = entry.get("sequence_id", entry.get("action_sequence_id"))
    return number if isinstance(number, int) else -1


def _place_of(log: BinaryIO, size: int, number: int) -> int:
    """Where in the log the steps begin that have this number or a greater one, by halving."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        at, line = _line_at(log, low, middle)
        if at >= high or not line or number_of(log_entry(line)) >= number:
            high = middle
        else:
            low = at + len(line)
    return low


def _line_at(log: BinaryIO, begin: int, place: int) -> tuple[int, bytes]:
    """The first line that begins at a place or behind it, and where; a line begins at ``begin``."""
    log.seek(max(begin, place - 1))
    if place > begin:
        log.readline()
    return log.tell(), log.readline()


def _lines_of(log: BinaryIO, size: int, number: int) -> Iterator[bytes]:
    """The lines of one step."""
    log.seek(_place_of(log, size, number))
    for line in log:
        if number_of(log_entry(line)) != number:
            return
        yield line.rstrip(b"\n")
