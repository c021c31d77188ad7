"""Which GPU each slot has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

VISIBLE = "CUDA_VISIBLE_DEVICES"


def device_of(slot: int, devices: Sequence[str] | None, environment: Mapping[str, str]) -> str | None:
    """What ``CUDA_VISIBLE_DEVICES`` is for a call, ``None`` where it stays as it is.

    Args:
        slot: The slot, 0-based.
        devices: Those to share out; ``None`` for those that there are.
        environment: The call's environment. Those that it names are all that there are: numbers, or the names
            of GPUs and of parts of them.

    Example:
        >>> [device_of(slot, None, {"CUDA_VISIBLE_DEVICES": "2,MIG-7f"}) for slot in range(3)]
        ['2', 'MIG-7f', '2']
    """
    known = _there_are(environment) if devices is None else devices
    return known[slot % len(known)] if known else None


def _there_are(environment: Mapping[str, str]) -> Sequence[str]:
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
