"""Which GPUs there are for the slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

VISIBLE = "CUDA_VISIBLE_DEVICES"


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
