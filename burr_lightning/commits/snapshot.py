"""A copy of everything in a checkpoint, in buffers that are used again for the next one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch


class Snapshot:
    """Copies checkpoints, each into the memory of the one before.

    Every storage is copied once, so tensors that share one still do in the copy, as in what
    ``torch.save`` writes. The copies lie in the CPU's memory.
    """

    def __init__(self) -> None:
        self._buffers: list[torch.UntypedStorage] = []

    def take(self, content: Any) -> Any:
        """A copy of a nested structure that later changes to its tensors do not reach.

        It is valid until the next one is taken.
        """
        copies: dict[int, torch.UntypedStorage] = {}
        memo: dict[int, Any] = {}
        for tensor in _tensors(content):
            source = tensor.untyped_storage()
            if source.data_ptr() not in copies:
                copies[source.data_ptr()] = self._buffer(len(copies), source.nbytes()).copy_(source, False)
            memo[id(tensor)] = _view(copies[source.data_ptr()], tensor)
        del self._buffers[len(copies) :]
        return copy.deepcopy(content, memo)

    def _buffer(self, index: int, size: int) -> torch.UntypedStorage:
        if index == len(self._buffers):
            self._buffers.append(_storage(size))
        elif self._buffers[index].nbytes() != size:
            self._buffers[index] = _storage(size)
        return self._buffers[index]


def _storage(size: int) -> torch.UntypedStorage:
    return torch.UntypedStorage(size)  # type: ignore[no-untyped-call]


def _view(storage: torch.UntypedStorage, like: torch.Tensor) -> torch.Tensor:
    empty = torch.empty(0, dtype=like.dtype)
    return empty.set_(storage, like.storage_offset(), like.size(), like.stride())


def _tensors(content: Any) -> Iterator[torch.Tensor]:
    """The plain tensors in nested dictionaries, lists and tuples; others are copied as they ask to be."""
    if type(content) is torch.Tensor:
        if content.layout is torch.strided and not (
            content.is_quantized or content.is_conj() or content.is_neg()
        ):
            yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _tensors(value)
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from _tensors(value)
