"""What a function's parameters are annotated with, however it was wrapped."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any


def plain_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function that a user wrote, or the object that can be called."""
    while isinstance(function, partial):
        function = function.func
    unwrapped: Callable[..., Any] = inspect.unwrap(function)
    return unwrapped


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotation of each parameter; what cannot be evaluated, as its text.

    Each by itself: a name that is imported for types alone must not cost the others.

    Example:
        >>> def act(state: Unknown, rate: float, *, steps: int = 3): ...
        >>> annotations_of(act)
        {'state': 'Unknown', 'rate': <class 'float'>, 'steps': <class 'int'>}
    """
    plain: Any = plain_function(function)
    if not inspect.isroutine(plain):
        plain = type(plain).__call__
    names = getattr(plain, "__globals__", {})
    return {
        name: _evaluated(parameter.annotation, names)
        for name, parameter in inspect.signature(plain).parameters.items()
        if parameter.annotation is not inspect.Parameter.empty
    }


def _evaluated(annotation: Any, names: dict[str, Any]) -> Any:
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, names)
    except Exception:
        return annotation
