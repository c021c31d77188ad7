"""A copy of everything in a checkpoint, in buffers that are used again for the next one."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch

_Kind = tuple[int, bool]
"""How many bytes a buffer has, and whether a GPU copies to it."""


class Snapshot:
    """Copies checkpoints, each into the memory of the one before.

    Every storage is copied once, so tensors that share one still do in the copy, as in what
    ``torch.save`` writes. The copies lie in the CPU's memory; those of what lies on a GPU in page-locked
    memory, to which the GPU copies by itself, one storage after the other.
    """

    def __init__(self) -> None:
        self._buffers: list[tuple[_Kind, torch.UntypedStorage]] = []

    def take(self, content: Any) -> Any:
        """A copy of a nested structure that later changes to its tensors do not reach.

        It is valid until the next one is taken.
        """
        copies: dict[int, torch.UntypedStorage] = {}
        memo: dict[int, Any] = {}
        gpus: set[torch.device] = set()
        for tensor in _tensors(content):
            source, on_gpu = tensor.untyped_storage(), tensor.is_cuda
            place = (
                source._cdata
            )  # not where it lies: an array may be seen through several, each of its own size
            if place not in copies:
                copies[place] = self._buffer(len(copies), (source.nbytes(), on_gpu)).copy_(source, on_gpu)
            memo[id(tensor)] = _view(copies[place], tensor)
            if on_gpu:
                gpus.add(tensor.device)
        del self._buffers[len(copies) :]
        copied = copy.deepcopy(content, memo)
        for gpu in gpus:
            # The copies are on the stream that trains: what it is given from here on comes after them. The
            # thread that writes does not know of that, and reads what is there.
            torch.cuda.current_stream(gpu).synchronize()
        return copied

    def _buffer(self, index: int, kind: _Kind) -> torch.UntypedStorage:
        if index == len(self._buffers):
            self._buffers.append((kind, _storage(*kind)))
        elif self._buffers[index][0] != kind:
            self._buffers[index] = kind, _storage(*kind)
        return self._buffers[index][1]


def _storage(size: int, page_locked: bool) -> torch.UntypedStorage:
    if page_locked:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True).untyped_storage()
    return torch.UntypedStorage(size)  # type: ignore[no-untyped-call]


def _view(storage: torch.UntypedStorage, like: torch.Tensor) -> torch.Tensor:
    empty = torch.empty(0, dtype=like.dtype)
    view = empty.set_(storage, like.storage_offset(), like.size(), like.stride())
    return view.requires_grad_() if like.requires_grad else view


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
