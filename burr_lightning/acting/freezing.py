"""Which parameters train, and what that means for normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.nn import Module, Parameter

from ..errors import ArgumentError
from ..parameter_groups import add_group, give_rate, set_rate


def freeze(module: LightningModule, patterns: Sequence[str], call: str) -> None:
    """Train the parameters no more, and keep the statistics of normalizations among them.

    Raises:
        ArgumentError: If a pattern matches nothing.
    """
    for parameter in _matched(module, patterns, call).values():
        parameter.requires_grad_(False)
        # A gradient that is still there would be used at the next step of the optimizer.
        parameter.grad = None
    for part in _normalizations(module, patterns):
        part.eval()


def unfreeze(
    trainer: Trainer, module: LightningModule, patterns: Sequence[str], lr: float | None, call: str
) -> None:
    """Train the parameters, in a group of their own where they get a learning rate.

    Raises:
        ArgumentError: If a pattern matches nothing.
    """
    parameters = list({id(p): p for p in _matched(module, patterns, call).values()}.values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    for part in _normalizations(module, patterns):
        part.train()
    for optimizer in trainer.optimizers:
        known = {id(p) for group in optimizer.param_groups for p in group["params"]}
        theirs = [parameter for parameter in parameters if id(parameter) in known]
        parameters = [parameter for parameter in parameters if id(parameter) not in known]
        if theirs and lr is not None:
            give_rate(trainer, optimizer, theirs, lr)
    if parameters:
        _give_to_optimizer(trainer, module, parameters, lr, call)


def _give_to_optimizer(
    trainer: Trainer, module: LightningModule, parameters: list[Parameter], lr: float | None, call: str
) -> None:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    if len(trainer.optimizers) > 1:
        listed = ", ".join(names[id(parameter)] for parameter in parameters)
        raise ArgumentError(
            f"{call}: no optimizer has {listed}, and there are {len(trainer.optimizers)}. Have "
            f"configure_optimizers() give them to the right one; frozen ones are left alone there."
        )
    [optimizer] = trainer.optimizers
    last = optimizer.param_groups[-1]
    if lr is not None:
        group = {**last, "params": parameters, "lr": lr}
        if "param_names" in last:
            group["param_names"] = [names[id(parameter)] for parameter in parameters]
        add_group(trainer, optimizer, group, like=len(optimizer.param_groups) - 1)
        set_rate(trainer, optimizer, len(optimizer.param_groups) - 1, lr)
        return
    last["params"] += parameters
    if "param_names" in last:
        last["param_names"] += [names[id(parameter)] for parameter in parameters]


def frozen_in_numbers(module: LightningModule) -> dict[str, Any]:
    """How many parameters do not train, and of how many; in tensors."""
    parameters = list(module.parameters())
    return {"frozen": sum(not parameter.requires_grad for parameter in parameters), "of": len(parameters)}


def _matched(module: LightningModule, patterns: Sequence[str], call: str) -> dict[str, Parameter]:
    matched: dict[str, Parameter] = {}
    for pattern in patterns:
        everywhere = module.named_parameters(remove_duplicate=False)  # tied ones have several names
        found = {name: p for name, p in everywhere if _matches(name, pattern)}
        if not found and not any(_matches(name, pattern) for name, _ in module.named_modules() if name):
            names = [name for name, _ in module.named_parameters()]
            shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
            raise ArgumentError(f"{call}: no parameter matches {pattern!r}. The module has {shown}.")
        matched |= found
    return matched


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _normalizations(module: LightningModule, patterns: Sequence[str]) -> list[Module]:
    """The parts with running statistics that are meant: by their own name, or by that of a parameter."""
    return [
        part
        for name, part in module.named_modules()
        if hasattr(part, "track_running_stats")
        and any(
            _matches(place, pattern)
            for pattern in patterns
            for place in [name, *(f"{name}.{own}" for own, _ in part.named_parameters(recurse=False))]
        )
    ]
