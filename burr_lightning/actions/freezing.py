"""Choose which parameters train."""

from __future__ import annotations

from typing import Any

from burr.core import State

from ..errors import ArgumentError
from .ordinary import OrdinaryAction, Training


class Freeze(OrdinaryAction):
    """Train some parameters no more, until they are unfrozen.

    They get no gradients, so no optimizer touches them, whatever its momentum or weight decay; they stay
    in its groups. Normalizations among them are put into evaluation mode: their running statistics stay
    as they are. Dropout stays on.

    Reads: nothing. Writes: `frozen`: how many parameters do not train (`frozen`), of how many (`of`).

    Args:
        patterns: Names of parameters, or of modules for all that is in them, as
            ``named_parameters()`` has them, with ``*`` and ``?`` as in file names.

    Raises:
        ArgumentError: If there are none.

    Example:
        >>> Freeze("backbone.*")
        Freeze('backbone.*')
    """

    WRITES = ("frozen",)

    def __init__(self, *patterns: str) -> None:
        super().__init__()
        self.patterns = _checked(type(self).__name__, patterns)

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Freeze them, and tell what does not train."""
        training: Training = inputs["training"]
        return {"frozen": training.freeze(self.patterns)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.patterns))})"


class Unfreeze(OrdinaryAction):
    """Train some parameters, frozen by `Freeze`, by the module itself, or left out of the optimizer.

    A parameter that no optimizer has is given to one: to its last group, or to a new group
    with ``lr``, for which schedulers count on as for the last one. Normalizations are put into
    training mode.

    Reads: nothing. Writes: `frozen`: how many parameters do not train (`frozen`), of how many (`of`).

    Args:
        patterns: As in `Freeze`.
        lr: A learning rate of their own, more than 0: they are moved to a group with it. ``None``
            leaves them in the groups where they are.

    Raises:
        ArgumentError: If there are no patterns, or ``lr`` is out of range.

    Example:
        >>> Unfreeze("backbone.layer4.*", lr=1e-4)
        Unfreeze('backbone.layer4.*', lr=0.0001)
    """

    WRITES = ("frozen",)

    def __init__(self, *patterns: str, lr: float | None = None) -> None:
        super().__init__()
        self.patterns = _checked(type(self).__name__, patterns)
        if lr is not None and not lr > 0:
            raise ArgumentError(f"Unfreeze(..., lr={lr!r}): it must be more than 0, or None.")
        self.lr = lr

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Unfreeze them, and tell what does not train."""
        training: Training = inputs["training"]
        return {"frozen": training.unfreeze(self.patterns, self.lr)}

    def __repr__(self) -> str:
        rate = f", lr={self.lr!r}" if self.lr is not None else ""
        return f"Unfreeze({', '.join(map(repr, self.patterns))}{rate})"


def _checked(function: str, patterns: tuple[str, ...]) -> tuple[str, ...]:
    if not patterns or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        shown = ", ".join(map(repr, patterns))
        raise ArgumentError(f"{function}({shown}): give names of parameters or modules, as 'backbone.*'.")
    return patterns
