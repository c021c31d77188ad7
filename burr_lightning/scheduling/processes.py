"""Whether a process that wrote its number down lives still, or another one has that number now."""

from __future__ import annotations

import os

_DOUBT = 10.0
"""Seconds by which the system's clocks may differ; a number is not given away again as soon as that."""


def has_lived_since(process: int, moment: float) -> bool:
    """Whether a process lives that lived at a moment already; where that cannot be told, whether it lives.

    Args:
        process: Its number.
        moment: Seconds since 1970.
    """
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    started = _started(process)
    return started is None or started < moment + _DOUBT


def _started(process: int) -> float | None:
    """When a process was started, in seconds since 1970; ``None`` where the system does not say."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            after_its_name = file.read().rpartition(")")[2].split()
        with open("/proc/stat", encoding="utf-8") as file:
            [booted] = [float(line.split()[1]) for line in file if line.startswith("btime ")]
        return booted + float(after_its_name[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
