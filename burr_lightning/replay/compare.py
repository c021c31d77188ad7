"""Comparing two checkpoints to the last bit: which tensor differs first, and by how much."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from .task import inside

_FIRST = ("state_dict", "optimizer_states", "lr_schedulers")
_LAST = ("burr_lightning",)
_OF_LIGHTNING = "pytorch-lightning_version"
_LONGEST = 60
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class Difference:
    """One place where two checkpoints differ."""

    name: str
    """Where: a parameter's name as it is, anything else from the checkpoint's top."""
    original: str
    """What the run has there: a tensor's type and shape, the value of anything else."""
    replayed: str
    """What the replay has there."""
    differing: int | None = None
    """Elements that differ, ``None`` where it is not two arrays of the same type and shape."""
    elements: int | None = None
    """Elements in all."""
    largest_absolute: float | None = None
    """The largest difference; NaN where a NaN stands against another value."""
    largest_relative: float | None = None
    """The largest difference relative to the run's own value."""

    def __str__(self) -> str:
        if self.differing is None:
            return f"{self.name}: {self.original} in the run, {self.replayed} in the replay"
        by = f"largest {self.largest_absolute:.3g} (relative {self.largest_relative:.2g})"
        return f"{self.name} {self.original}: {self.differing} of {self.elements} elements, {by}"


@dataclass(frozen=True)
class Comparison:
    """What a comparison of two checkpoints found."""

    tensors: int
    """How many tensors were compared."""
    values: int
    """How many other values."""
    differences: tuple[Difference, ...]
    """Where they differ, weights first, then optimizers, schedulers, the rest, generators."""
    ignored: tuple[str, ...]
    """What was there and not compared."""

    @property
    def exact(self) -> bool:
        """Whether everything is the same, to the last bit."""
        return not self.differences


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU; a class that cannot be imported here is replaced by what was stored of it.

    Args:
        path: The file. It is mapped into memory, and must stay while the tensors are used.
    """
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError:
        checkpoint = torch.load(
            path, map_location="cpu", mmap=True, weights_only=False, pickle_module=_PERMISSIVE
        )
    return checkpoint


def compare(
    original: Mapping[str, Any], replayed: Mapping[str, Any], ignored: Collection[str] = ()
) -> Comparison:
    """Compare two checkpoints, bit by bit: a NaN equals the same NaN, 0.0 does not equal -0.0.

    Args:
        original: One, the contents of a checkpoint.
        replayed: The other one.
        ignored: Names of what is not compared, with everything inside it. Lightning's own version
            never is.

    Example:
        >>> one = {"state_dict": {"layer.bias": torch.tensor([1.0, 2.0])}, "epoch": 3}
        >>> other = {"state_dict": {"layer.bias": torch.tensor([1.0, 2.5])}, "epoch": 3}
        >>> print(compare(one, other).differences[0])
        layer.bias [2]: 1 of 2 elements, largest 0.5 (relative 0.25)
    """
    walk = _Walk(ignored)
    tensors = values = 0
    differences: list[Difference] = []
    for name, one, other in walk.over(original, replayed):
        if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
            tensors += 1
        else:
            values += 1
        if difference := _difference(name, one, other):
            differences.append(difference)
    return Comparison(tensors, values, tuple(differences), tuple(walk.met))


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


_ABSENT = _Absent()


class _Walk:
    """Walks two nested structures in step."""

    def __init__(self, ignored: Collection[str]) -> None:
        self._ignored = ignored
        self.met: list[str] = []
        self._walked: set[tuple[int, int]] = set()

    def over(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
        keys = _keys(one, other)
        rest = [key for key in keys if key not in (*_FIRST, *_LAST, _OF_LIGHTNING)]
        for key in [*_FIRST, *rest, *_LAST]:
            if key in keys:
                name = "" if key == "state_dict" else key
                yield from self._pairs(name, one.get(key, _ABSENT), other.get(key, _ABSENT))

    def _pairs(self, name: str, one: Any, other: Any) -> Iterator[tuple[str, Any, Any]]:
        if name in self._ignored:
            self.met.append(name)
            return
        met = (id(one), id(other))  # of what both hold: what is made of it here may take another's place
        one, other = _items(one), _items(other)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if met not in self._walked:  # an object of the user's may hold itself
                self._walked.add(met)
                for key in _keys(one, other):
                    yield from self._pairs(inside(name, key), one.get(key, _ABSENT), other.get(key, _ABSENT))
        else:
            yield name, one, other


def _keys(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> list[Any]:
    return list(dict.fromkeys([*one, *other]))


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _numbers(values: Any) -> bool:
    return bool(values) and all(isinstance(value, (bool, int, float)) for value in values)


def _items(value: Any) -> Any:
    """What is inside, by key: of a list that is not one of numbers, and of an object of the user's, too."""
    if _is_list(value) and not _numbers(value):
        return dict(enumerate(value))
    leaf = (torch.Tensor, np.ndarray, np.generic, Mapping, list, tuple, type, _Absent)
    return value if isinstance(value, leaf) or not hasattr(value, "__dict__") else vars(value)


def _difference(name: str, one: Any, other: Any) -> Difference | None:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return _tensors(name, _plain(one), _plain(other))
    if _is_list(one) and _is_list(other) and len(one) == len(other):
        return _number_lists(name, list(one), list(other))
    return None if _same(one, other) else Difference(name, _shown(one), _shown(other))


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().dequantize() if tensor.is_quantized else tensor.detach()
    return tensor.to_dense() if tensor.layout is not torch.strided else tensor.resolve_conj().resolve_neg()


def _tensors(name: str, one: torch.Tensor, other: torch.Tensor) -> Difference | None:
    if one.dtype != other.dtype or one.shape != other.shape:
        return Difference(name, _shown(one), _shown(other))
    bits_of_one, bits_of_other = _bits(one), _bits(other)
    if torch.equal(bits_of_one, bits_of_other):
        return None
    differs = (bits_of_one != bits_of_other).any(dim=1)
    wide = torch.complex128 if one.is_complex() else torch.float64
    before, after = (tensor.reshape(-1)[differs].to(wide) for tensor in (one, other))
    apart = (before - after).abs()
    relative = torch.where(apart == 0, 0.0, apart / before.abs())
    return Difference(
        name,
        str(list(one.shape)),
        str(list(other.shape)),
        int(differs.sum()),
        one.numel(),
        float(apart.max()),
        float(relative.max()),
    )


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor's bytes, a row for each element."""
    return tensor.contiguous().reshape(-1, 1).view(torch.uint8)


def _number_lists(name: str, one: list[Any], other: list[Any]) -> Difference | None:
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if not _same(a, b)]
    if not pairs:
        return None
    apart = [(abs(a - b), abs(a)) for a, b in pairs]
    shape = str([len(one)])
    relative = max(by / size if size else float("inf") for by, size in apart)
    return Difference(name, shape, shape, len(pairs), len(one), max(by for by, _ in apart), relative)


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, (np.ndarray, np.generic)):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    try:
        equal = bool(one == other)
    except Exception:  # an object of the user's that cannot be compared: what is stored of it can be
        equal = False
    return equal or pickle.dumps(one) == pickle.dumps(other)


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, (np.ndarray, Mapping, list, tuple)) and len(repr(value)) > _LONGEST:
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class _Unknown:
    """Stands for an object whose class is not to be had here: a class of the user's script, say."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Unknown:
        made = object.__new__(cls)
        made.__dict__.update(arguments=list(args), items=[], state=None)
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.__dict__["items"].append((key, value))

    def append(self, value: Any) -> None:
        self.__dict__["items"].append(value)

    def extend(self, values: Any) -> None:
        self.__dict__["items"].extend(values)


class _PermissiveUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (_Unknown,), {"__module__": module})


_PERMISSIVE = SimpleNamespace(__name__="pickle", Unpickler=_PermissiveUnpickler, load=pickle.load)
