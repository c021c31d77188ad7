"""Sending a function, and what it returns or raises, to another process."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from importlib import import_module
from typing import Any

from .errors import NotPickledError

ADVICE = (
    "Define the function at the top of a module that can be imported, outside of other functions, and give "
    "it what can be pickled: a path or a number, and open or build it inside"
)


_RAY = os.path.join("ray", "_private", "workers", "default_worker.py")
"""The program of Ray's own processes."""


def packed(value: Any, what: str, *, elsewhere: bool = False, advice: str = ADVICE) -> bytes:
    """A value as bytes; by cloudpickle, where that is installed, if pickle does not do.

    Args:
        value: The value.
        what: Names it in the error.
        elsewhere: Whether it is for a Ray cluster, whose processes do not import the user's script; Ray
            brings a cloudpickle of its own.
        advice: What to do where it cannot be sent.

    Raises:
        NotPickledError: If it cannot be sent.
    """
    try:
        data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # a __reduce__ of the value's own may raise anything
        return _by_value(value, what, error, elsewhere, advice)
    if b"__main__" in data and (elsewhere or main_script() is None):
        return _by_value(value, what, None, elsewhere, advice)
    return data


def main_script() -> str | None:
    """The file of what the user has started, ``None`` for a notebook, a terminal, a pipe or a part of Ray."""
    path = getattr(sys.modules["__main__"], "__file__", None)
    if path is None or path.endswith(_RAY) or not os.path.exists(path):  # a pipe's is "<stdin>"
        return None
    return str(path)


def _by_value(value: Any, what: str, error: Exception | None, elsewhere: bool, advice: str) -> bytes:
    try:
        cloudpickle = import_module("ray.cloudpickle" if elsewhere else "cloudpickle")
    except ImportError:
        why = "it is defined in a notebook or a terminal" if error is None else in_one_line(error)
        raise NotPickledError(what, why, f"{advice}; or pip install cloudpickle.") from error
    try:
        data: bytes = cloudpickle.dumps(value)
    except Exception as second:
        raise NotPickledError(what, in_one_line(second), f"{advice}.") from second
    return data


def in_one_line(error: BaseException) -> str:
    """What an error is and says."""
    return "".join(traceback.format_exception_only(type(error), error)).strip()
