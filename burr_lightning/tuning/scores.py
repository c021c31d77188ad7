"""What trials come to after each epoch: a file that all trials of a study append to, and read on."""

from __future__ import annotations

import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class Scores:
    """The scores of a study's trials.

    It has what the trials' own histories and the study's ledger have, so that a trial need not read those of
    all others. Where it is lost it is made again of them, but for what a pruner keeps beside the scores: the
    rungs of successive halving are then counted anew.

    Args:
        path: The file; it is made when something is told.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def tell(self, trial: int, **facts: Any) -> None:
        """Append what is known of a trial, in one piece."""
        line = json.dumps({"trial": trial, **facts}).encode() + b"\n"
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, b"\n" + line if torn else line)
        finally:
            os.close(descriptor)

    def newer(self) -> Iterator[Mapping[str, Any]]:
        """What was told since it was last read, all of it at first."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            fact = _read(line)
            if fact is not None:
                yield fact


def scores_by_trial(scores: Scores) -> Mapping[int, Mapping[int, float]]:
    """What each trial came to, by its epochs."""
    found: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for fact in scores.newer():
        if "value" in fact:
            found[fact["trial"]][fact["epoch"]] = float(fact["value"])
    return found


def _read(line: bytes) -> Mapping[str, Any] | None:
    try:
        fact = json.loads(line)
    except ValueError:  # torn: its writer was killed, and tells it again when it goes on
        return None
    return fact if isinstance(fact, dict) and "trial" in fact else None
