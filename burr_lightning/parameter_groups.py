"""The parameter groups of optimizers, and what schedulers keep of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch.nn import Parameter
from torch.optim import Optimizer

from .errors import ArgumentError, ResumeError

Layout = list[list[dict[str, Any]] | None]
"""Of each group of each optimizer, the ``names`` of its parameters, and which configured group it is
``like``; ``None`` where they are not the module's."""

Schedules = dict[str, list[Any]]
"""The learning rates and the schedulers at an instant."""

_RATES = ("lr", "initial_lr", "max_lr", "min_lr")
"""What a group holds that is a learning rate; the last three are schedulers' own."""
_SCHEDULED = (*_RATES, "momentum", "betas", "base_momentum", "max_momentum")
"""What schedulers change in a group."""
_RATES_BY_GROUP = ("base_lrs", "max_lrs", "_last_lr")
_LIKE = "like_group"
"""What a group that was added holds: the number of the configured group that schedulers take it for."""
_BY_GROUP = (*_RATES_BY_GROUP, "min_lrs", "lr_lambdas", "base_momentums", "max_momentums")
"""The lists of schedulers that have an entry for each group."""


def layout_of(trainer: Trainer, module: LightningModule) -> Layout:
    """Which parameters are in which group, by name."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    layout: Layout = []
    for optimizer in trainer.optimizers:
        groups = [
            {"names": [names.get(id(p)) for p in group["params"]], "like": group.get(_LIKE, number)}
            for number, group in enumerate(optimizer.param_groups)
        ]
        known = all(name is not None for group in groups for name in group["names"])
        layout.append(groups if known else None)
    return layout


def lay_out(trainer: Trainer, module: LightningModule, layout: Layout, run_id: str) -> None:
    """Have the groups that there were when a checkpoint was written, so that it fits.

    Raises:
        ResumeError: If the module lacks one of the parameters.
    """
    parameters = dict(module.named_parameters())
    now = layout_of(trainer, module)
    for optimizer, groups, there in zip(trainer.optimizers, layout, now, strict=False):
        if groups is None or there is None or groups == there:
            continue
        missing = sorted({name for group in groups for name in group["names"]} - parameters.keys())
        if missing:
            raise ResumeError(
                f"Run {run_id!r} trained the parameters {', '.join(missing[:3])}, and the module has none of "
                f"that name. Give it the module that it was started with, or start a new run."
            )
        templates = optimizer.param_groups
        like = [min(group["like"], len(templates) - 1) for group in groups]
        optimizer.param_groups = [
            {
                **templates[number],
                "params": [parameters[name] for name in group["names"]],
                **({_LIKE: group["like"]} if group["like"] != index else {}),
            }
            for index, (number, group) in enumerate(zip(like, groups, strict=True))
        ]
        _fit_schedulers(trainer, optimizer, like)


def groups_of(trainer: Trainer, numbers: Sequence[int] | None) -> Iterator[tuple[Optimizer, int]]:
    """The optimizer of each parameter group, and the group's number in it.

    Raises:
        ArgumentError: If there is no group of a number.
    """
    found = [(o, index) for o in trainer.optimizers for index in range(len(o.param_groups))]
    unknown = [number for number in numbers or [] if not 0 <= number < len(found)]
    if unknown:
        raise ArgumentError(
            f"groups={list(numbers or [])!r}: there are {len(found)} parameter groups, 0 to {len(found) - 1}."
        )
    return iter(found if numbers is None else [found[number] for number in numbers])


def scale(trainer: Trainer, optimizer: Optimizer, number: int, factor: float) -> None:
    """Multiply the learning rate of a group, and what schedulers compute it from."""
    group = optimizer.param_groups[number]
    for key in _RATES:
        if key in group:
            group[key] = group[key] * factor
    for scheduler in schedulers_of(trainer, optimizer):
        for name in _RATES_BY_GROUP:
            values = getattr(scheduler, name, None)
            if isinstance(values, list) and number < len(values):
                values[number] = values[number] * factor


def set_rate(trainer: Trainer, optimizer: Optimizer, number: int, lr: float) -> None:
    """Set the learning rate of a group; schedulers are scaled in proportion."""
    group = optimizer.param_groups[number]
    if float(group["lr"]) != 0:
        scale(trainer, optimizer, number, lr / float(group["lr"]))
    else:
        group |= {key: lr for key in ("initial_lr", "max_lr") if key in group}
        for scheduler in schedulers_of(trainer, optimizer):
            if number < len(getattr(scheduler, "base_lrs", [])):
                scheduler.base_lrs[number] = lr
    # Exactly, where a product would be off by a rounding.
    group["lr"] = group["lr"] * 0 + lr


def give_rate(trainer: Trainer, optimizer: Optimizer, parameters: list[Parameter], lr: float) -> None:
    """Give parameters of an optimizer a learning rate of their own; all else about them stays as it is."""
    meant = {id(parameter) for parameter in parameters}
    for number, group in enumerate(list(optimizer.param_groups)):
        moves = [id(parameter) in meant for parameter in group["params"]]
        if moves and all(moves):
            set_rate(trainer, optimizer, number, lr)
        elif any(moves):
            moved = _taken_out(group, moves)
            add_group(trainer, optimizer, moved, like=number)
            set_rate(trainer, optimizer, len(optimizer.param_groups) - 1, lr)


def add_group(trainer: Trainer, optimizer: Optimizer, group: dict[str, Any], *, like: int) -> None:
    """Add a group; schedulers count on for it as for the one that it is like."""
    configured = optimizer.param_groups[like].get(_LIKE, like)
    optimizer.add_param_group({**group, _LIKE: configured})
    _fit_schedulers(trainer, optimizer, [*range(len(optimizer.param_groups) - 1), like])


def _taken_out(group: dict[str, Any], moves: list[bool]) -> dict[str, Any]:
    """A group of what moves out of another, which keeps the rest."""
    taken = dict(group)
    for key in ("params", "param_names"):
        if key in group:
            pairs = list(zip(group[key], moves, strict=True))
            taken[key] = [item for item, out in pairs if out]
            group[key] = [item for item, out in pairs if not out]
    return taken


def schedules(trainer: Trainer) -> Schedules:
    """What schedulers change in the groups, and the schedulers."""
    return {
        "groups": [
            [{key: group[key] for key in _SCHEDULED if key in group} for group in o.param_groups]
            for o in trainer.optimizers
        ],
        "schedulers": [deepcopy(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs],
    }


def put_schedules_back(trainer: Trainer, kept: Schedules) -> None:
    """Put what `schedules` gave back.

    Raises:
        ArgumentError: If there are other groups now.
    """
    for optimizer, groups in zip(trainer.optimizers, kept["groups"], strict=True):
        if len(groups) != len(optimizer.param_groups):
            raise ArgumentError(
                f"RestartSchedule(): the run began with {len(groups)} parameter groups and has "
                f"{len(optimizer.param_groups)}: what Unfreeze(lr=...) added has no beginning to go back to."
            )
        for group, values in zip(optimizer.param_groups, groups, strict=True):
            group.update(deepcopy(values))
    for config, state in zip(trainer.lr_scheduler_configs, kept["schedulers"], strict=True):
        config.scheduler.load_state_dict(deepcopy(state))


def schedulers_of(trainer: Trainer, optimizer: Optimizer) -> Iterator[Any]:
    """The schedulers of an optimizer, those inside of others included."""
    waiting = [config.scheduler for config in trainer.lr_scheduler_configs]
    while waiting:
        scheduler = waiting.pop()
        waiting += getattr(scheduler, "_schedulers", [])
        if getattr(scheduler, "optimizer", None) is optimizer:
            yield scheduler


def _fit_schedulers(trainer: Trainer, optimizer: Optimizer, like: Sequence[int]) -> None:
    """Have schedulers count on for each group as they did for the one that it is like."""
    for scheduler in schedulers_of(trainer, optimizer):
        for name in _BY_GROUP:
            values = getattr(scheduler, name, None)
            if isinstance(values, list) and values:
                values[:] = [values[min(number, len(values) - 1)] for number in like]
