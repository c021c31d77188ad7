"""Hyperparameters that change while a run is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import LightningModule

from .actions import Training


@runtime_checkable
class ToldOfHparams(Protocol):
    """A module that is told of changes of its hyperparameters."""

    def hparams_changed(self, old: dict[str, Any], new: dict[str, Any], training: Training) -> None:
        """Some were changed."""


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
    module.hparams_changed(old, dict(new), training)


def change_again(module: LightningModule, new: Mapping[str, Any]) -> None:
    """What an earlier process changed: its script gives the module those of before again."""
    module.hparams.update(new)
