"""Sending a callback to processes that Lightning starts, as ``strategy="ddp_spawn"`` does."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any, Self

from .pickling import packed

_ADVICE = (
    "Use Trainer(strategy='ddp'), whose processes run the script themselves, and give persister= as a URL"
)


class CanBeSent:
    """The part of `BurrCallback` that is pickled: what the user configured, and nothing of a ``fit``.

    Conditions are made of functions, so that it takes cloudpickle.
    """

    def __copy__(self) -> Self:
        """A copy as it is without pickling."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy as it is without pickling."""
        memo[id(self)] = copied = type(self).__new__(type(self))
        copied.__dict__.update(deepcopy(self.__dict__, memo))
        return copied

    def __getstate__(self) -> dict[str, Any]:
        configured = {**self.__dict__, "_opened": None, "_log": None}
        return {"packed": packed(configured, f"{type(self).__name__}(...)", advice=_ADVICE)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(pickle.loads(state["packed"]))
