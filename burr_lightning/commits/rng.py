"""The state of random number generators, in a form that loads without unpickling code."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

_Generator = random.Random | np.random.Generator | np.random.RandomState | torch.Generator
_OPAQUE = (
    *(type, ModuleType, FunctionType, MethodType, BuiltinFunctionType, random.SystemRandom),
    *(str, int, float, Path, torch.Tensor, torch.device, np.ndarray),
)
_PLAIN = frozenset({type(None), bool, str, int, float, FunctionType, MethodType, torch.Tensor, torch.dtype})
"""Of these no subclass is meant: most of what objects hold is of them, and told so at once."""
_LONGEST = 100
"""A longer list is data."""
_MOST = 10_000
"""Objects that are looked at."""


def rng_state() -> dict[str, Any]:
    """The state of Python's, NumPy's and torch's global generators, on the CPU and on all CUDA devices."""
    # Where nobody uses CUDA, it is not asked: that would start it, and forked processes could not use it.
    in_use = cuda_devices() > 0
    return {
        "python": _python_state(random.getstate()),
        "numpy": _numpy_state(np.random.get_state(legacy=True)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if in_use else [],
        "cuda_device": torch.cuda.current_device() if in_use else None,
    }


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Put the global generators back into a state that `rng_state` gave.

    Where CUDA is not in use, what is kept of its devices is left out.
    """
    random.setstate(_python_arguments(state["python"]))
    np.random.set_state(_numpy_arguments(state["numpy"]))
    torch.set_rng_state(state["torch"].cpu())
    if devices := cuda_devices():
        for index, of_device in cuda_states(state, devices, torch.cuda.current_device()).items():
            torch.cuda.set_rng_state(of_device.cpu(), index)


def cuda_states(state: Mapping[str, Any], devices: int, current: int) -> dict[int, torch.Tensor]:
    """What is put back on which CUDA device: that of the device which trained goes to the one that trains.

    Args:
        state: What `rng_state` gave.
        devices: How many devices there are.
        current: The one that trains, 0-based.
    """
    kept: list[torch.Tensor] = state["cuda"]
    then = state.get("cuda_device")
    moved = {current: kept[then]} if then is not None else {}
    return {**dict(enumerate(kept[:devices])), **moved}


def cuda_devices() -> int:
    """How many CUDA devices this process has, 0 where it does not use them."""
    in_use: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.device_count() if in_use else 0


def generator_states(owners: Mapping[str, Any], elsewhere: tuple[type, ...] = ()) -> dict[str, Any]:
    """The states of the generators that objects hold, at any depth.

    Args:
        owners: The objects by a name of theirs.
        elsewhere: Kinds of objects that are not looked into.

    Returns:
        The state of each generator by its place, as ``train.0.sampler.generator``.
    """
    return {place: _state_of(generator) for place, generator in _generators(owners, elsewhere)}


def set_generator_states(
    owners: Mapping[str, Any], states: Mapping[str, Any], elsewhere: tuple[type, ...] = ()
) -> None:
    """Put generators back into states that `generator_states` gave; others stay as they are."""
    if not states:
        return
    for place, generator in _generators(owners, elsewhere):
        if place in states:
            _set_state(generator, states[place])


def _generators(owners: Mapping[str, Any], elsewhere: tuple[type, ...]) -> Iterator[tuple[str, _Generator]]:
    seen: set[int] = set()
    waiting = deque(owners.items())
    opaque = (*_OPAQUE, *elsewhere)
    while waiting and len(seen) < _MOST:
        place, owner = waiting.popleft()
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        if isinstance(owner, _Generator):
            yield place, owner
        else:
            waiting += [(f"{place}.{n}", v) for n, v in _parts(owner) if _matters(v, opaque)]


def _parts(owner: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(owner, (list, tuple)):
        return [(str(index), value) for index, value in enumerate(owner)]
    if isinstance(owner, Mapping):
        return [(str(key), value) for key, value in owner.items()]
    attributes = vars(owner) if hasattr(owner, "__dict__") else {}
    if not isinstance(owner, torch.nn.Module):
        return list(attributes.items())
    own = [(name, value) for name, value in attributes.items() if not name.startswith("_")]
    return [*own, *owner._modules.items()]


def _matters(value: Any, opaque: tuple[type, ...]) -> bool:
    if type(value) in _PLAIN:
        return False
    if isinstance(value, (list, tuple, dict)):
        return 0 < len(value) <= _LONGEST
    return not isinstance(value, opaque) and (isinstance(value, _Generator) or hasattr(value, "__dict__"))


def _state_of(generator: _Generator) -> Any:
    if isinstance(generator, random.Random):
        return _python_state(generator.getstate())
    if isinstance(generator, np.random.RandomState):
        return _numpy_state(generator.get_state(legacy=True))
    if isinstance(generator, np.random.Generator):
        return _plain(generator.bit_generator.state)
    return generator.get_state()


def _set_state(generator: _Generator, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(_python_arguments(state))
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(_numpy_arguments(state))
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state.cpu())


def _python_state(state: Any) -> list[Any]:
    version, words, gauss = state
    return [version, _tensor(words), gauss]


def _python_arguments(state: Any) -> tuple[Any, ...]:
    version, words, gauss = state
    return version, tuple(words.tolist()), gauss


def _numpy_state(state: Any) -> list[Any]:
    kind, keys, position, has_gauss, cached = state
    return [str(kind), _tensor(keys), int(position), int(has_gauss), float(cached)]


def _numpy_arguments(state: Any) -> tuple[Any, ...]:
    kind, keys, position, has_gauss, cached = state
    return kind, keys.cpu().numpy().astype(np.uint32), position, has_gauss, cached


def _tensor(words: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(words, dtype=np.int64))


def _plain(value: Any) -> Any:
    """Nested dictionaries of NumPy values as those of Python's."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    return value.item() if isinstance(value, np.generic) else value
