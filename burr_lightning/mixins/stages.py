"""Methods of a module that are stages of its training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from burr.core import Condition, State
from burr.core.graph import Graph

from ..actions import OrdinaryAction, Training
from ..errors import MachineError
from ..machines import Stage, staged_machine

_MARK = "__burr_stage__"
_Method = TypeVar("_Method", bound=Callable[[Any], object])


def stage(until: Condition | None = None) -> Callable[[_Method], _Method]:
    """Mark a method of a `BurrMixin` as a stage of the training.

    Stages follow each other as they stand in the class, those of its bases first. The body runs once, at
    the boundary that enters the stage, while Lightning waits; then its epochs are trained.

    Args:
        until: What ends the stage, asked as if the run had begun with it; of the last one, what ends the
            run. ``None``, for the last one only, leaves that to Lightning's own limits.

    Raises:
        MachineError: If ``until`` is no condition, as where the brackets were left out: ``@stage``.

    Example:
        >>> from burr_lightning.conditions import plateau
        >>> class Head:
        ...     @stage(until=plateau("val_loss", 2))
        ...     def head(self): ...
        >>> [each.name for each in stages_of(Head)]
        ['head']
    """
    if until is not None and not isinstance(until, Condition):
        raise MachineError(
            f"@stage(until={until!r}): it must be a Burr condition, as those of burr_lightning.conditions "
            f"are. Write @stage() where there is none."
        )

    def mark(method: _Method) -> _Method:
        setattr(method, _MARK, (until,))
        return method

    return mark


class EnterStage(OrdinaryAction):
    """Run the body of a stage.

    Reads: nothing. Writes: `frozen`, `learning_rates`.

    Args:
        method: The method's name.
    """

    WRITES = ("frozen", "learning_rates")

    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    @property
    def inputs(self) -> list[str]:
        """What the body acts on."""
        return ["training", "pl_module"]

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Run it, and tell what trains afterwards, and how fast."""
        training: Training = inputs["training"]
        inputs["pl_module"].enter_stage(self.method, training)
        return {"frozen": training.freeze(()), "learning_rates": training.scale_learning_rates(1.0)}

    def __repr__(self) -> str:
        return f"EnterStage({self.method!r})"


def stages_of(cls: type) -> list[Stage]:
    """The stages of a class, in order: one that is defined anew keeps its place."""
    names = dict.fromkeys(
        name
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if hasattr(value, _MARK) or hasattr(getattr(base, name, None), _MARK)
    )
    marked = {name: getattr(getattr(cls, name), _MARK, None) for name in names}
    return [Stage(name, mark[0], {name: EnterStage(name)}) for name, mark in marked.items() if mark]


def machine_of_stages(cls: type) -> Graph | None:
    """The machine that a class's stages make, ``None`` where it has none.

    Raises:
        MachineError: If one that is not the last has no end.
    """
    stages = stages_of(cls)
    return staged_machine(stages) if stages else None
