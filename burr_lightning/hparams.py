"""Hyperparameters that change while a run is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import LightningModule
from torch.optim import Optimizer

from .actions import Training
from .optimizer_names import OF_GROUPS, RATES

_OF_LIGHTNING_CLI = {"_class_path", "_instantiator"}
"""What LightningCLI adds, so that `load_from_checkpoint` can make the module again."""


@runtime_checkable
class ToldOfHparams(Protocol):
    """A module that is told of changes of its hyperparameters."""

    def burr_hparams_changed(self, old: dict[str, Any], new: dict[str, Any], training: Training) -> None:
        """Some were changed."""


def of_module(module: LightningModule) -> dict[str, Any]:
    """The hyperparameters of a module, none where it has saved none."""
    hparams = getattr(module, "hparams", {})
    return {name: value for name, value in hparams.items() if name not in _OF_LIGHTNING_CLI}


def changes(module: LightningModule, values: Mapping[str, Any]) -> dict[str, Any]:
    """What of some values changes a hyperparameter of a module that is told of such changes."""
    if not isinstance(module, ToldOfHparams):
        return {}
    hparams = module.hparams
    return {name: value for name, value in values.items() if name in hparams and hparams[name] != value}


def change(module: LightningModule, new: Mapping[str, Any], training: Training) -> None:
    """Change hyperparameters, and tell the module."""
    assert isinstance(module, ToldOfHparams)
    old = {name: module.hparams[name] for name in new}
    module.hparams.update(new)
    module.burr_hparams_changed(old, dict(new), training)


def change_again(module: LightningModule, new: Mapping[str, Any]) -> None:
    """What was changed before this process began: its script gives the module those of before again."""
    module.hparams.update({name: value for name, value in new.items() if name in module.hparams})


def tell_of_fork(
    module: LightningModule, optimizers: Sequence[Optimizer], fork: Mapping[str, Any], training: Training
) -> None:
    """A fork begins: tell its module what it changes; of one that is not told, change the optimizers."""
    if isinstance(module, ToldOfHparams):
        module.burr_hparams_changed(dict(fork["old"]), dict(fork["hparams"]), training)
    else:
        put_into_groups(optimizers, fork["hparams"], training)


def put_into_groups(optimizers: Sequence[Optimizer], new: Mapping[str, Any], training: Training) -> None:
    """Put learning rate, weight decay, momentum and betas into the groups of optimizers that have them."""
    for name in RATES:
        if name in new:
            training.set_learning_rates(new[name])
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for name in OF_GROUPS & new.keys() & group.keys():
                group[name] = tuple(new[name]) if name == "betas" else new[name]
