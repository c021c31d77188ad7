"""Which parameters train, and what that means for normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.nn import Module, Parameter

from ..errors import ArgumentError
from ..parameter_groups import move_to_own_group


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
    parameters = list(_matched(module, patterns, call).values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    for part in _normalizations(module, patterns):
        part.train()
    for optimizer in trainer.optimizers:
        known = {id(p) for group in optimizer.param_groups for p in group["params"]}
        theirs = [parameter for parameter in parameters if id(parameter) in known]
        parameters = [parameter for parameter in parameters if id(parameter) not in known]
        if theirs and lr is not None:
            move_to_own_group(trainer, optimizer, theirs, lr)
    if parameters and lr is not None:
        move_to_own_group(trainer, trainer.optimizers[0], parameters, lr)
    elif parameters:
        trainer.optimizers[0].param_groups[-1]["params"] += parameters


def frozen_in_numbers(module: LightningModule) -> dict[str, Any]:
    """How many parameters do not train, and of how many; in tensors."""
    parameters = list(module.parameters())
    return {"frozen": sum(not parameter.requires_grad for parameter in parameters), "of": len(parameters)}


def _matched(module: LightningModule, patterns: Sequence[str], call: str) -> dict[str, Parameter]:
    matched: dict[str, Parameter] = {}
    for pattern in patterns:
        found = {name: p for name, p in module.named_parameters() if _matches(name, pattern)}
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
