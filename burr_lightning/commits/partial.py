"""The commit inside an epoch: a file beside the rows that names the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .files import temporary_of, write_durably

PARTIAL = "partial.json"


def write_partial(folder: Path, facts: dict[str, Any]) -> None:
    """Name the newest checkpoint from inside an epoch, in one step and durably."""
    write_durably(folder / PARTIAL, lambda stream: stream.write(json.dumps(facts).encode()))


@contextmanager
def temporarily_written(folder: Path, facts: dict[str, Any]) -> Iterator[Path]:
    """What `write_partial` would write, in a file that nobody reads and that is gone after the block."""
    path = temporary_of(folder / f"{PARTIAL}-copy")
    path.write_text(json.dumps(facts))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def read_partial(folder: Path, name: str = PARTIAL) -> dict[str, Any] | None:
    """What was written last; ``None`` where there is nothing, or nothing that can be read."""
    try:
        facts = json.loads((folder / name).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def remove_partial(folder: Path) -> None:
    """Forget it: the epoch has ended."""
    (folder / PARTIAL).unlink(missing_ok=True)
