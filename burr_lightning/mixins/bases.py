"""Whether a class is put together so that Lightning calls its mixins."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningModule

_CALLED = "_mixins_called"
"""Which mixins' ``configure_callbacks`` were called, and what each added, while a class's own one runs."""


def refuse_wrong_order(cls: type, mixin: type) -> None:
    """See that a mixin comes before the class whose hooks it extends.

    Raises:
        TypeError: If it does not.
    """
    order = cls.__mro__
    if LightningModule in order and order.index(LightningModule) < order.index(mixin):
        first = [base for base in cls.__bases__ if not issubclass(base, LightningModule)]
        rest = [base for base in cls.__bases__ if issubclass(base, LightningModule)]
        raise TypeError(
            f"class {cls.__name__}({_named(cls.__bases__)}): Lightning would never call {mixin.__name__}, "
            f"for LightningModule comes before it. Write the mixins first: "
            f"class {cls.__name__}({_named([*first, *rest])})."
        )


def refuse_hidden_bases(cls: type, mixin: type, names: Iterable[str]) -> None:
    """See that what a plain base class says under the names of a mixin is not hidden by the mixin.

    Args:
        cls: The class that has just been made.
        mixin: The mixin.
        names: What of it is for users to define.

    Raises:
        TypeError: If the mixin's own default would be taken in place of what a base after it defines.
    """
    order = cls.__mro__
    after = order[order.index(mixin) + 1 :]
    for name in names:
        # One of the mixins, or LightningModule itself, extends what it defines.
        base = next((each for each in after if name in vars(each) and not _extends(each)), None)
        if base is not None and not any(name in vars(each) for each in order[: order.index(mixin)]):
            raise TypeError(
                f"class {cls.__name__}({_named(cls.__bases__)}): {base.__name__}.{name} would not be used, "
                f"for {mixin.__name__} comes before it and has a {name} too. Say which one is meant: "
                f"{name} = {base.__name__}.{name} in {cls.__name__}."
            )


def called(module: LightningModule, mixin: type, brought: Sequence[Callback]) -> None:
    """Note which callbacks a mixin's ``configure_callbacks`` has added, for a class's own one that asks."""
    if _CALLED in module.__dict__:
        module.__dict__[_CALLED][mixin] = brought


def see_that_it_is_called(cls: type, mixin: type) -> None:
    """Have a class's own ``configure_callbacks`` fail where it has left out the mixin's.

    Only a call can tell: it may be made by name, through a helper, or in one branch of two.
    """
    own = vars(cls).get("configure_callbacks")
    if own is not None:
        cls.configure_callbacks = _checked(own, cls, mixin)  # type: ignore[attr-defined]


_Configure = Callable[[Any], "Sequence[Callback] | Callback"]


def _checked(own: _Configure, cls: type, mixin: type) -> _Configure:
    @functools.wraps(own)
    def configure_callbacks(self: Any) -> Sequence[Callback] | Callback:
        outermost = _CALLED not in self.__dict__
        noted = self.__dict__.setdefault(_CALLED, {})
        try:
            returned = own(self)
        finally:
            if outermost:  # a module that is copied must not have its callbacks in it
                del self.__dict__[_CALLED]
        brought = noted.get(mixin)
        callbacks = [returned] if isinstance(returned, Callback) else returned
        if brought is None or any(each not in callbacks for each in brought):
            raise TypeError(
                f"{cls.__name__}.configure_callbacks leaves out the callbacks of {mixin.__name__}, which can "
                f"do nothing without them. Call super().configure_callbacks() in yours, and return those "
                f"that it gives beside your own."
            )
        return returned

    return configure_callbacks


def _extends(base: type) -> bool:
    return base in LightningModule.__mro__ or base.__module__.startswith(__package__)


def _named(bases: Iterable[type]) -> str:
    return ", ".join(base.__name__ for base in bases)
