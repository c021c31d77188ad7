"""Whether a class is put together so that Lightning calls its mixins."""

from __future__ import annotations

import types

from lightning.pytorch import LightningModule


def refuse_wrong_order(cls: type, mixin: type) -> None:
    """See that a mixin comes before the class whose hooks it extends.

    Raises:
        TypeError: If it does not.
    """
    order = cls.__mro__
    if LightningModule in order and order.index(LightningModule) < order.index(mixin):
        raise TypeError(
            f"class {cls.__name__}({', '.join(base.__name__ for base in cls.__bases__)}): Lightning would "
            f"never call {mixin.__name__}, for LightningModule comes before it. Write the mixins first: "
            f"class {cls.__name__}({mixin.__name__}, LightningModule)."
        )


def refuse_uncooperative(cls: type, hook: str, mixin: type) -> None:
    """See that a hook which a class defines itself calls the mixin's.

    Raises:
        TypeError: If there is no ``super()`` in it.
    """
    own = vars(cls).get(hook)
    if isinstance(own, types.FunctionType) and "super" not in own.__code__.co_names:
        raise TypeError(
            f"{cls.__name__}.{hook}: {mixin.__name__} has a {hook} too, which would not be called. Call "
            f"super().{hook}() in yours."
        )
