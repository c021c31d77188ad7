"""Methods of a module that are stages of its training."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from burr.core import Condition, State
from burr.core.graph import Graph
from lightning.pytorch import LightningModule

from ..actions import OrdinaryAction, Training
from ..errors import MachineError
from ..machines import Stage, staged_machine

log = logging.getLogger(__name__)

_MARK = "__burr_stage__"
_Method = TypeVar("_Method", bound=Callable[[Any], object])


def stage(until: Condition | None = None) -> Callable[[_Method], _Method]:
    """Mark a method of a `BurrMixin` as a stage of the training.

    Stages follow each other as they stand in the class, those of its bases first. The body runs once, at
    the boundary that enters the stage, while Lightning waits; then its epochs are trained.

    Args:
        until: What ends the stage, asked as if the run had begun with it; of the last one, what ends the
            run. ``None``, for the last one only, leaves that to Lightning's own limits.

    Returns:
        What marks the method.

    Raises:
        MachineError: If ``until`` is no condition, as where the brackets were left out: ``@stage``; and if
            the method cannot be called with ``self`` alone, or is an async one or a generator.

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
        _refuse_what_is_no_body(method)
        setattr(method, _MARK, (until,))
        return method

    return mark


def _refuse_what_is_no_body(method: Any) -> None:
    """See that a method can be called with nothing, and does what it does then.

    Raises:
        MachineError: If not.
    """
    name = getattr(method, "__name__", repr(method))
    if not inspect.isfunction(method):
        raise MachineError(f"@stage(until=...) on {name}: it must be the mark of a method of the class.")
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        raise MachineError(
            f"@stage(until=...) on {name}: its body would never run, for it is an async function or a "
            f"generator. Write a plain method."
        )
    needed = [each for each in inspect.signature(method).parameters.values() if each.default is each.empty]
    if len([each for each in needed if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]) > 1:
        raise MachineError(
            f"@stage(until=...) on {name}{inspect.signature(method)}: the body is called with self alone. "
            f"Take what it needs from self."
        )


def refuse_hidden_names(module: LightningModule) -> None:
    """See that no stage hides what Lightning or the module calls by its name.

    Raises:
        MachineError: If one does.
    """
    for each in stages_of(type(module)):
        own = (module._modules, module._parameters, module._buffers)
        if any(each.name in kind for kind in own):
            what = f"the module's own self.{each.name}"
        elif hasattr(LightningModule, each.name):
            what = f"LightningModule.{each.name}"
        else:
            continue
        raise MachineError(
            f"{type(module).__name__}.{each.name}: the stage hides {what}, which could not be used any more. "
            f"Give one of the two another name, as begin_{each.name}."
        )


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
        inputs["pl_module"].burr_enter_stage(self.method, training)
        return {"frozen": training.freeze(()), "learning_rates": training.scale_learning_rates(1.0)}

    def __repr__(self) -> str:
        return f"EnterStage({self.method!r})"


def stages_of(cls: type) -> list[Stage]:
    """The stages of a class, in order: one that is defined anew keeps its place, ``name = None`` drops it.

    Raises:
        MachineError: If one is defined anew without the mark.
    """
    names = dict.fromkeys(
        name for base in reversed(cls.__mro__) for name, value in vars(base).items() if hasattr(value, _MARK)
    )
    defined = {name: inspect.getattr_static(cls, name) for name in names}
    for name, value in defined.items():
        if value is not None and not hasattr(value, _MARK):
            raise MachineError(
                f"{cls.__name__}.{name} is defined anew without @stage(until=...), and was a stage in one of "
                f"the bases. Mark it, or write {name} = None to have the training without this stage."
            )
    return [
        Stage(name, getattr(value, _MARK)[0], {name: EnterStage(name)})
        for name, value in defined.items()
        if value is not None
    ]


@contextmanager
def warned_of_lost_attributes(module: LightningModule, name: str) -> Iterator[None]:
    """Say which plain attributes the body of a stage has set: a process that goes on does not have them."""
    before = dict(module.__dict__)
    yield
    changed = [
        each
        for each, value in module.__dict__.items()
        if each != "training" and (each not in before or before[each] is not value)
    ]
    if changed:
        log.warning(
            "%s.%s has set %s: a process that goes on with this run does not run the body again, and has "
            "them as __init__ leaves them. Use a buffer (register_buffer in __init__, and fill it here), or "
            "ask self.burr.stage where they are needed.",
            type(module).__name__,
            name,
            ", ".join(f"self.{each}" for each in changed),
        )


def machine_of_stages(cls: type) -> Graph | None:
    """The machine that a class's stages make, ``None`` where it has none.

    Raises:
        MachineError: If one that is not the last has no end.
    """
    stages = stages_of(cls)
    return staged_machine(stages) if stages else None


def refuse_left_out(cls: type, machine: Graph | None) -> None:
    """See that the machine of a class has all of its stages.

    Raises:
        MachineError: If it has not, as where `configure_machine` returns another one.
    """
    actions = machine.actions if machine is not None else []
    entered = {action.method for action in actions if isinstance(action, EnterStage)}
    left_out = [each.name for each in stages_of(cls) if each.name not in entered]
    if left_out:
        raise MachineError(
            f"{cls.__name__} defines configure_machine, whose machine leaves out the stages "
            f"{', '.join(left_out)}. Take the marks away, or have it return super().configure_machine()."
        )
