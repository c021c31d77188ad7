"""The callback that a module has brought: it drives the training of that module, and of no other."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from ..callback import BurrCallback
from ..errors import MachineError


class CallbackOfModule(BurrCallback):
    """The callback that a module has brought.

    Args:
        module: Whose it is.
        options: The arguments of `BurrCallback`.

    Raises:
        MachineError: In ``fit``, if there is another one for the same training.
    """

    def __init__(self, module: LightningModule, **options: Any) -> None:
        super().__init__(**options)
        self.module = module

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Open the run; leave where the trainer now has another module, which has nothing of this machine."""
        if stage == "fit" and pl_module is not self.module:
            # The list is replaced, not changed: Lightning is walking through it.
            trainer.callbacks = [other for other in trainer.callbacks if other is not self]  # type: ignore[attr-defined]
            return
        if stage == "fit":
            self._refuse_another(trainer)
        super().setup(trainer, pl_module, stage)

    def _refuse_another(self, trainer: Trainer) -> None:
        callbacks = trainer.callbacks  # type: ignore[attr-defined]
        if any(drives(self.module, other) for other in callbacks if other is not self):
            name = type(self.module).__name__
            raise MachineError(
                f"{name}: there is a BurrCallback beside the one that BurrMixin brings, and a training has "
                f"one machine. Return yours from {name}.configure_burr, or give it to the Trainer before fit."
            )


def brought_by(module: LightningModule, callback: Callback) -> bool:
    """Whether a module has brought this callback."""
    return isinstance(callback, CallbackOfModule) and callback.module is module


def drives(module: LightningModule, callback: Callback) -> bool:
    """Whether a callback would drive the training of a module: another module's stays out of it."""
    return isinstance(callback, BurrCallback) and (
        not isinstance(callback, CallbackOfModule) or callback.module is module
    )
