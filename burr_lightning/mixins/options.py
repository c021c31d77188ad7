"""What a module says of its run, as the arguments of `BurrCallback`."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from burr.core import Condition
from burr.core.graph import Graph

from ..callback import BurrCallback
from ..errors import ArgumentError, MachineError
from .stages import stages_of

log = logging.getLogger(__name__)

_ATTRIBUTES = ("run_id", "monitor", "stop_when", "review_when")
_CONDITIONS = ("stop_when", "review_when")


class SaysOfItsRun(Protocol):
    """A module with the attributes of `BurrMixin`."""

    run_id: str | None
    monitor: str | None
    stop_when: Condition | None
    review_when: Condition | None
    burr_options: ClassVar[Mapping[str, Any]]


def callback_of(module: SaysOfItsRun, machine: Graph | None) -> BurrCallback:
    """The callback of a module that has no other.

    Args:
        module: The module.
        machine: Its machine, ``None`` for the default one.

    Raises:
        MachineError: If it has a machine of its own, and conditions for the default one.
        ArgumentError: If its ``burr_options`` are none of `BurrCallback`, or have attributes of their own.
    """
    _refuse_options(type(module).__name__, module.burr_options)
    given = {name: getattr(module, name) for name in _ATTRIBUTES if getattr(module, name) is not None}
    conditions = [name for name in _CONDITIONS if name in given]
    if machine is not None and conditions:
        raise MachineError(
            f"{type(module).__name__} defines {' and '.join(conditions)} beside its own machine "
            f"(configure_machine, or methods marked with @stage). Put the conditions on its transitions, "
            f"or into @stage(until=...)."
        )
    return BurrCallback(machine=machine, **given, **module.burr_options)


def _refuse_options(name: str, options: Mapping[str, Any]) -> None:
    own = {**{each: f"the attribute {each}" for each in _ATTRIBUTES}, "machine": "configure_machine"}
    taken = [each for each in inspect.signature(BurrCallback).parameters if each not in own]
    for option in options:
        if option in own:
            raise ArgumentError(
                f"{name}.burr_options has {option!r}, which {own[option]} is for. Define that, and leave it "
                f"out here."
            )
        if option not in taken:
            raise ArgumentError(
                f"{name}.burr_options has {option!r}, which BurrCallback does not take. It takes "
                f"{', '.join(taken)}."
            )


def tell_of_unused(module: SaysOfItsRun) -> None:
    """Say which of a module's own definitions go unused, for its training has a callback of the user's."""
    names = [each for each in _ATTRIBUTES if getattr(module, each) is not None]
    names += [f"the stage {each.name}" for each in stages_of(type(module))]
    names += ["burr_options"] if module.burr_options else []
    if names:
        log.warning(
            "%s: the trainer has a BurrCallback, which drives this training, so that what the module says "
            "of it is not used: %s. Take the callback away to have it used.",
            type(module).__name__,
            ", ".join(names),
        )
