"""The commit inside an epoch: a file beside the rows that names the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .files import write_durably

_FILE = "partial.json"


def write_partial(folder: Path, facts: dict[str, Any]) -> None:
    """Name the newest checkpoint from inside an epoch, in one step and durably."""
    write_durably(folder / _FILE, lambda stream: stream.write(json.dumps(facts).encode()))


def read_partial(folder: Path) -> dict[str, Any] | None:
    """What was written last; ``None`` where there is nothing, or nothing that can be read."""
    try:
        facts = json.loads((folder / _FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def remove_partial(folder: Path) -> None:
    """Forget it: the epoch has ended."""
    (folder / _FILE).unlink(missing_ok=True)
