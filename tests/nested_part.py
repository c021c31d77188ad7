"""A part of the benchmarks that starts a process, as the one that measures commits does."""

from commit_wait import forked
from measured import Measured


def measure(*, full):
    """One row."""
    return [Measured("nested", "", (forked(float, full),), "times", 1)]
