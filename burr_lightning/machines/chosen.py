"""The machine that a callback was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection

from burr.core import Condition
from burr.core.graph import Graph, GraphBuilder

from ..errors import MachineError
from ..graph_checks import checked_machine
from .default import default_machine


def chosen_machine(
    machine: Graph | Callable[[], Graph] | None,
    stop_when: Condition | None,
    review_when: Condition | None,
    keys: Collection[str] = (),
) -> Graph:
    """The machine that `BurrCallback` was asked for.

    Args:
        machine: A graph, or a function that returns one; ``None`` is the default machine.
        stop_when: When the default machine leaves the training.
        review_when: When it asks a human.
        keys: The keys of the user's own that the state has from the beginning.

    Raises:
        MachineError: If one of these is no condition, or is given beside a machine, or the machine
            cannot drive a training run.
    """
    given_when = {"stop_when": stop_when, "review_when": review_when}
    for argument, condition in given_when.items():
        if condition is not None and not isinstance(condition, Condition):
            raise MachineError(
                f"BurrCallback({argument}={condition!r}): it must be a Burr condition, as those of "
                f"burr_lightning.conditions or burr.core.Condition.expr(...) are."
            )
    if machine is None:
        return checked_machine(default_machine(stop_when, review_when), keys)
    if stop_when is not None:
        raise MachineError(
            "BurrCallback(machine=..., stop_when=...): stop_when belongs to the default machine. In "
            "a machine of your own, put the condition on a transition that leaves the training."
        )
    if review_when is not None:
        raise MachineError(
            "BurrCallback(machine=..., review_when=...): review_when belongs to the default machine. In "
            "a machine of your own, put since_review(...) on a transition to a Review action."
        )
    given = machine if isinstance(machine, Graph) or not callable(machine) else machine()
    if isinstance(given, GraphBuilder):
        raise MachineError(
            "BurrCallback(machine=...): this is a GraphBuilder. Give what its .build() returns."
        )
    return checked_machine(given, keys)
