"""What an ordinary action gave, as names and single values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_MOST = 32
"""The longest list that is taken apart: a learning rate per parameter group, but no data."""


def flattened(result: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """The numbers, truths and texts in a result, each by the path that leads to it.

    A mapping that is all that the action gave does not add its own name, for the action's says it. Lists
    of more than 32 values, and what is neither number nor text, are left out.

    Example:
        >>> flattened({"rollback": {"to": 3, "lr": [0.1, 0.01], "checkpoint": "epoch=3.ckpt"}})
        {'to': 3, 'lr/0': 0.1, 'lr/1': 0.01, 'checkpoint': 'epoch=3.ckpt'}
        >>> flattened({"best": {"epoch": 3}, "stop_reason": "plateau"})
        {'best/epoch': 3, 'stop_reason': 'plateau'}
    """
    inner = next(iter(result.values()), None)
    return dict(_leaves(inner if len(result) == 1 and isinstance(inner, Mapping) else result))


def _leaves(values: Mapping[Any, Any]) -> Iterator[tuple[str, bool | int | float | str]]:
    for name, value in values.items():
        if isinstance(value, (bool, int, float, str)):
            yield str(name), value
        elif isinstance(value, (list, tuple)) and len(value) <= _MOST:
            yield from ((f"{name}/{path}", leaf) for path, leaf in _leaves(dict(enumerate(value))))
        elif isinstance(value, Mapping):
            yield from ((f"{name}/{path}", leaf) for path, leaf in _leaves(value))
