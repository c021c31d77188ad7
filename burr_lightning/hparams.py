"""Hyperparameters that change while a run is trained."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import LightningModule
from torch.optim import Optimizer

from .actions import Training
from .optimizer_names import OF_GROUPS, RATES

log = logging.getLogger(__name__)

_NOT_COPIED = {"params", *RATES}
"""What a group holds that is no plain value of a hyperparameter."""
_OF_LIGHTNING_CLI = {"_class_path", "_instantiator"}
"""What LightningCLI adds, so that `load_from_checkpoint` can make the module again."""


@runtime_checkable
class ToldOfHparams(Protocol):
    """A module that is told of changes of its hyperparameters."""

    def burr_hparams_changed(
        self,
        old: dict[str, Any],
        new: dict[str, Any],
        training: Training,
        *,
        of_fork: bool = False,
        built: Collection[str] = (),
    ) -> None:
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
    module: LightningModule,
    optimizers: Sequence[Optimizer],
    fork: Mapping[str, Any],
    training: Training,
    built_with: Mapping[str, Any],
) -> None:
    """A fork begins: tell its module what it changes; of one that is not told, change the optimizers.

    Args:
        module: The module.
        optimizers: The optimizers.
        fork: The ``hparams`` that the fork changes, from ``old`` ones.
        training: What sets learning rates.
        built_with: The hyperparameters that the script itself has given the module.
    """
    old, new = dict(fork["old"]), dict(fork["hparams"])
    built = {name for name, value in new.items() if name in built_with and built_with[name] == value}
    if isinstance(module, ToldOfHparams):
        module.burr_hparams_changed(old, new, training, of_fork=True, built=built)
    else:
        put_into_groups(optimizers, old, new, training, of_fork=True, built=built)


def put_into_groups(
    optimizers: Sequence[Optimizer],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    training: Training,
    *,
    of_fork: bool = False,
    built: Collection[str] = (),
) -> None:
    """Have the groups of optimizers what hyperparameters say.

    A human sees the learning rate of the instant, and gives the one from here on. A fork says what its
    parent should have begun with: so all rates, and what schedulers compute them from, change in proportion.

    Args:
        optimizers: The optimizers.
        old: What the hyperparameters were, where that is known.
        new: What they are.
        training: What sets learning rates.
        of_fork: Whether a fork begins.
        built: Those that the script has built the module with already.
    """
    unused = set(new) - set(built)
    rates = [name for name in RATES if name in new]
    for name in rates[:1]:  # one rate under two names, as a module and its base class save it, changes once
        _change_rates(old.get(name) if of_fork else None, new[name], training)
    unused.difference_update(rates)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for name in new.keys() & group.keys() - _NOT_COPIED:
                if _is_meant(group[name], old.get(name), name):
                    group[name] = _like(group[name], new[name])
                    unused.discard(name)
    if of_fork and unused:
        _tell_of_unused({name: new[name] for name in sorted(unused)})


def _change_rates(old: Any, new: float, training: Training) -> None:
    known = isinstance(old, (int, float)) and not isinstance(old, bool) and old != 0
    if not known:
        training.set_learning_rates(new)
    elif new != old:
        training.scale_learning_rates(new / old)


def _is_meant(value: Any, old: Any, name: str) -> bool:
    """Whether a group has a hyperparameter: another value, as no decay for biases, was given to it alone."""
    return name in OF_GROUPS if old is None else bool(_like(value, old) == value)


def _like(value: Any, other: Any) -> Any:
    """A list is read from a row where a tuple was."""
    return tuple(other) if isinstance(value, tuple) and isinstance(other, list) else other


def _tell_of_unused(unused: Mapping[str, Any]) -> None:
    log.warning(
        "The fork changes %s: self.hparams has that from here on, and nothing else does. No parameter group "
        "has a value of that name, and what __init__ and configure_optimizers have made of the old one came "
        "from the script and the parent's checkpoint. Define on_hparams_change (BurrMixin) to act on it, or "
        "use self.hparams where it is needed.",
        ", ".join(f"{name}={value!r}" for name, value in unused.items()),
    )
