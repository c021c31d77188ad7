"""Buffers of a module that are others on each rank, as the statistics of a normalization are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from lightning.pytorch import LightningModule
from torch.distributed.tensor import DTensor

from .ranks import Ranks


def differing_buffers(module: LightningModule, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Those of this rank that are not the same on all of them; every rank has to ask.

    DDP gives all ranks those of the first one before each pass forward. Where nobody does, they stay apart,
    and a checkpoint holds those of one rank only.
    """
    if ranks.size == 1:
        return {}
    buffers = {
        f"{place}.{name}" if place else name: buffer
        for place, part in module.named_modules()
        for name, buffer in part.named_buffers(recurse=False)
        if name not in part._non_persistent_buffers_set and not isinstance(buffer, DTensor)
    }
    of_all = ranks.of_all({name: _digest(buffer) for name, buffer in buffers.items()})
    return {name: buffers[name] for name in buffers if any(of_all[0][name] != each[name] for each in of_all)}


def put_buffers(module: LightningModule, kept: Mapping[str, torch.Tensor]) -> None:
    """Put back what `differing_buffers` told."""
    buffers = dict(module.named_buffers(remove_duplicate=False))
    for name, value in kept.items():
        buffers[name].copy_(value)


def _digest(tensor: torch.Tensor) -> bytes:
    plain = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
    return hashlib.sha256(plain.numpy().tobytes()).digest()
