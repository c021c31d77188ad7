"""The hooks of Lightning's that are a phase's: each tells the driver what happened."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from .lightning_hooks import call, call_all, leave_out, leave_out_unused
from .opening import OpenRun


class PhaseHooks(Callback):
    """The part of `BurrCallback` that opens and closes phases; it decides nothing."""

    _opened: OpenRun | None

    def hear_what_is_needed(self) -> None:
        """Be called at every batch only for what there is to do."""
        call_all(self)
        leave_out_unused(self)
        if not self._fitting.driver.walk.gives_items:
            leave_out(self, "on_train_batch_end", PhaseHooks)

    def hear_all(self) -> None:
        """Be as before the training, for whoever calls the hooks then."""
        call_all(self)

    def hear_next_batch(self) -> None:
        """Be called once before the next batch of training."""
        call(self, "on_train_batch_start")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """``train_epoch`` opens."""
        self.hear_next_batch()
        self._fitting.driver.epoch_started()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """After a validation inside the epoch, ``train_epoch`` opens again."""
        self._fitting.driver.batch_started()
        leave_out(self, "on_train_batch_start", PhaseHooks)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """An item of the open phase."""
        self._fitting.driver.walk.batch_has_outputs(batch_idx, outputs)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """``train_epoch`` closes and ``validate`` opens."""
        if _validates_in_fit(trainer):
            self.hear_next_batch()
            self._fitting.driver.validation_started()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """An item of the open phase."""
        if _validates_in_fit(trainer):
            walk = self._fitting.driver.walk
            walk.batch_ended(batch_idx)
            if walk.gives_items:
                walk.batch_has_outputs(batch_idx, outputs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """``validate`` stays open until the next batch, or the end of the epoch."""
        if _validates_in_fit(trainer):
            self._fitting.driver.validation_ended()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epoch's last phase closes, and the epoch is committed."""
        self._fitting.driver.epoch_ended()

    @property
    def _fitting(self) -> OpenRun:
        assert self._opened is not None, "Lightning called a training hook before setup"
        return self._opened


def _validates_in_fit(trainer: Trainer) -> bool:
    """Whether it is a validation of the training: not the sanity check, not ``trainer.validate``."""
    return not trainer.sanity_checking and trainer.state.fn == "fit"
