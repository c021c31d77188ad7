"""Stores that older versions of this package have left, unpacked where a test runs."""

import sys
import tarfile
from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"
sys.path.insert(0, str(FIXTURES))

from make_store import PLACE, Line, train  # noqa: E402

__all__ = ["STORES", "Line", "train", "unpacked"]

STORES = ["oldest_store", "older_store"]
"""The first version that could store a run, whose rows have no digests and whose checkpoints hold little; and
one from before histories had steps and seconds, and runs could ask."""


def unpacked(store, folder):
    """Unpack a store into a folder, where a test has its home and its runs."""
    with tarfile.open(FIXTURES / f"{store}.tar.gz") as packed:
        packed.extractall(folder, filter="data")
    for path in folder.rglob("*.json*"):
        path.write_text(path.read_text().replace(PLACE, str(folder)))
