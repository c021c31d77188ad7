"""Lightning's hooks, for the metrics of a module: none of the module's own hooks can be in their way."""

from __future__ import annotations

import logging
import re
import warnings
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import Callback, LightningModule, Trainer

from ..errors import MetricsError
from ..running_metrics import logged_elsewhere
from .epoch_metrics import STEPS, EpochMetrics, Place, Stage

log = logging.getLogger(__name__)


@runtime_checkable
class HasMetrics(Protocol):
    """A module whose metrics are seen to."""

    def burr_epoch_metrics(self) -> EpochMetrics:
        """Its metrics."""


class MetricsCallback(Callback):
    """Gives a module's metrics what its steps return, and logs and resets them when their epoch ends.

    It is called before the other callbacks, so that these see the epoch's values in the same hook.
    """

    def __init__(self) -> None:
        self._told: set[Stage] = set()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Be the first. The list is replaced, not changed: Lightning is walking through it."""
        others = [other for other in trainer.callbacks if other is not self]  # type: ignore[attr-defined]
        trainer.callbacks = [self, *others]  # type: ignore[attr-defined]

    # Training

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing counts of an earlier training; a commit is put back after this."""
        if isinstance(pl_module, HasMetrics):
            pl_module.burr_epoch_metrics().forget()
        self._begin(pl_module, "train")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch begins; one that goes on does not come here."""
        self._begin(pl_module, "train")

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """A step begins."""
        self._step_begins(pl_module, Place("train"))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A step has ended."""
        self._step_ends(pl_module, outputs)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """An epoch has ended."""
        self._stage_ends(trainer, pl_module, "train")

    # Validation, and Lightning's sanity check

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A validation begins."""
        self._begin(pl_module, _validation(trainer))

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int | None = None,
    ) -> None:
        """A step begins; Lightning names the loader where there are several."""
        self._step_begins(pl_module, Place(_validation(trainer), dataloader_idx))

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int | None = None,
    ) -> None:
        """A step has ended."""
        self._loader_step_ends(
            trainer, pl_module, outputs, batch_idx, Place(_validation(trainer), dataloader_idx)
        )

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A validation has ended."""
        self._stage_ends(trainer, pl_module, _validation(trainer))

    # Test

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A test begins."""
        self._begin(pl_module, "test")

    def on_test_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int | None = None,
    ) -> None:
        """A step begins."""
        self._step_begins(pl_module, Place("test", dataloader_idx))

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int | None = None,
    ) -> None:
        """A step has ended."""
        self._loader_step_ends(trainer, pl_module, outputs, batch_idx, Place("test", dataloader_idx))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A test has ended."""
        self._stage_ends(trainer, pl_module, "test")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lightning takes the module off its device."""
        if isinstance(pl_module, HasMetrics):
            pl_module.burr_epoch_metrics().to("cpu")

    # What they have in common

    def _begin(self, module: LightningModule, stage: Stage) -> None:
        if isinstance(module, HasMetrics):
            module.burr_epoch_metrics().begin(stage)

    def _step_begins(self, module: LightningModule, place: Place) -> None:
        if isinstance(module, HasMetrics):
            module.burr_epoch_metrics().step_begins(place)

    def _step_ends(self, module: LightningModule, outputs: Any) -> None:
        if isinstance(module, HasMetrics):
            module.burr_epoch_metrics().step_ends(module.device, outputs)

    def _loader_step_ends(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch_idx: int, place: Place
    ) -> None:
        """Log for one of several loaders after its last batch: Lightning then counts it among that one's."""
        self._step_ends(module, outputs)
        if place.loader is None or place.stage == "check" or not isinstance(module, HasMetrics):
            return
        batches = trainer.num_test_batches if place.stage == "test" else trainer.num_val_batches
        if batch_idx + 1 == batches[place.loader]:
            self._log(trainer, module, module.burr_epoch_metrics(), place, {"add_dataloader_idx": True})

    def _stage_ends(self, trainer: Trainer, module: LightningModule, stage: Stage) -> None:
        if not isinstance(module, HasMetrics):
            return
        metrics = module.burr_epoch_metrics()
        if metrics.takes(stage):
            for place in metrics.places(stage) or [Place(stage)]:  # the same ones on all ranks
                self._log(trainer, module, metrics, place, {"add_dataloader_idx": False})
            self._tell_of_no_data(type(module).__name__, metrics, stage)
        metrics.end_stage(stage)

    def _log(
        self,
        trainer: Trainer,
        module: LightningModule,
        metrics: EpochMetrics,
        place: Place,
        options: dict[str, bool],
    ) -> None:
        if not trainer.strategy.reduce_boolean_decision(metrics.has_data(place), all=False):
            return
        numbers = metrics.end(place, trainer.current_epoch, by_loader=options["add_dataloader_idx"])
        if place.stage == "check":
            return
        for name, hook in logged_elsewhere(trainer, numbers).items():
            raise MetricsError(
                f"{type(module).__name__}.{hook} logs {name!r}, and so do the metrics of configure_metrics: "
                f"log it under another name, or name the metric otherwise."
            )
        if trainer.world_size > 1:
            _leave_out_warnings(numbers)
        # The largest of the one value that there is: no mean, and another value under its name is refused.
        module.log_dict(numbers, on_step=False, on_epoch=True, reduce_fx="max", **options)

    def _tell_of_no_data(self, asked: str, metrics: EpochMetrics, stage: Stage) -> None:
        if not metrics.lacks_data(stage) or stage in self._told:
            return
        self._told.add(stage)
        log.warning(
            "%s: %s has ended, and the metrics were given nothing, so that nothing is logged for them. "
            "Return 'preds' and 'target' from %s, or call self.update_metrics(...) in it.",
            asked,
            _EPOCHS[stage],
            STEPS[stage],
        )


_EPOCHS: dict[Stage, str] = {
    "train": "an epoch of training",
    "val": "a validation",
    "test": "a test",
}


def _validation(trainer: Trainer) -> Stage:
    return "check" if trainer.sanity_checking else "val"


def _leave_out_warnings(names: dict[str, Any]) -> None:
    """Lightning recommends ``sync_dist=True`` for what torchmetrics has taken over all ranks already."""
    for name in names:
        message = re.escape(f"It is recommended to use `self.log({name!r}, ..., sync_dist=True)`")
        warnings.filterwarnings("ignore", message)
