"""What there is for the slots: GPUs, and cores."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache

VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = "OMP_NUM_THREADS"


def threads_each(workers: int) -> int | None:
    """How many threads each of several processes may take, so that together they have one for each core.

    More only wait for one another: two trainings that take two threads each were measured to be ten times
    slower on two cores. ``None`` for a single process, which has all cores.

    Args:
        workers: How many processes run at a time.
    """
    return max(1, cores() // workers) if workers > 1 else None


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def there_are(environment: Mapping[str, str]) -> Sequence[str]:
    """The GPUs that there are, as ``CUDA_VISIBLE_DEVICES`` names them.

    Args:
        environment: Where it names some, those are all: by their numbers, or by names of GPUs or of parts of
            them.

    Example:
        >>> there_are({"CUDA_VISIBLE_DEVICES": "2,MIG-7f"})
        ['2', 'MIG-7f']
    """
    if VISIBLE not in environment:
        return _all()
    names = []
    for name in environment[VISIBLE].split(","):
        if name.strip() in {"", "-1"}:  # CUDA reads as far as the first one that is none
            break
        names.append(name.strip())
    return names


@cache
def _all() -> Sequence[str]:
    import torch

    # It asks the driver's NVML and starts no CUDA here; the fork server never runs it.
    return [str(number) for number in range(torch.cuda.device_count())]
