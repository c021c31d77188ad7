"""Errors of forking a run."""

from __future__ import annotations

from collections.abc import Iterable

from .base import BurrLightningError
from .listed import listed, newest_listed


class ForkError(BurrLightningError, ValueError):
    """A run cannot be forked like this."""


class RunExistsError(ForkError):
    """A new run is to have the name of one that exists.

    Attributes:
        run_id: The name.
    """

    def __init__(self, call: str, run_id: str, where: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"{call}: there is a run of that name in {where}. Give the fork another name, or go on with that "
            f"run: it is opened by its name."
        )


class EpochNotForkableError(ForkError, LookupError):
    """An epoch has no checkpoint that a fork could begin with.

    Attributes:
        epoch: The epoch that was asked for, ``None`` for the newest one.
        available: Those that can be forked, in order.
    """

    def __init__(self, call: str, epoch: int | None, why: str, available: Iterable[int]) -> None:
        self.epoch, self.available = epoch, sorted(available)
        known = newest_listed([str(each) for each in self.available])
        super().__init__(
            f"{call}: {why}. Epochs that can be forked: {known}. More are kept with "
            f"BurrCallback(checkpoints=Checkpoints(keep_last=..., keep_best=...))."
        )


class UnknownHparamError(ForkError, LookupError):
    """A fork is to change a hyperparameter that its run does not have.

    Attributes:
        name: The name.
        available: Those that it has.
    """

    def __init__(self, call: str, name: str, available: Iterable[str]) -> None:
        self.name, self.available = name, sorted(available)
        super().__init__(
            f"{call}: the run has no hyperparameter {name!r}. It has: {listed(self.available)}. Those that a "
            f"module is to have are saved with self.save_hyperparameters(); of the optimizer, weight_decay, "
            f"momentum and betas can be given in any case, and lr where the module has no name for it."
        )
