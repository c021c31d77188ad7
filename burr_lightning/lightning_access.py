"""Everything this library asks of Lightning's Trainer, its private names included.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

import functools
import logging
import os
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from burr.core import serde
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    Checkpoint,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.plugins import DoublePrecision
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy
from lightning.pytorch.trainer.connectors.callback_connector import _CallbackConnector
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch.nn.parameter import is_lazy
from torchmetrics import Metric

from .errors import TrainerError
from .metric import Mode
from .module_metrics import kept_directions

log = logging.getLogger(__name__)

_OF_THEIR_OWN = (DeepSpeedStrategy, FSDPStrategy)
"""They do not run without an accelerator, so nobody has seen a run go on exactly from their checkpoints."""


def refuse_other_trainers(trainer: object) -> None:
    """Accept `lightning.pytorch.Trainer`.

    Raises:
        TrainerError: If it is another, as `pytorch_lightning.Trainer`, or one with such a strategy.
    """
    if not isinstance(trainer, Trainer):
        kind = f"{type(trainer).__module__}.{type(trainer).__qualname__}"
        raise TrainerError(
            f"BurrCallback was given to a {kind}. It works with lightning.pytorch.Trainer: write "
            f"'from lightning.pytorch import Trainer, LightningModule' in place of pytorch_lightning."
        )
    if isinstance(trainer.strategy, _OF_THEIR_OWN):
        raise _of_its_own(trainer)


def run_last(trainer: Trainer, callback: Callback) -> None:
    """Have a callback called after all others, so that a commit holds what they did at the same hook.

    The list is replaced, not changed: Lightning may be walking through it.
    """
    others = [other for other in trainer.callbacks if other is not callback]  # type: ignore[attr-defined]
    trainer.callbacks = [*others, callback]  # type: ignore[attr-defined]


def replaces_schedulers(trainer: Trainer) -> bool:
    """Whether a callback takes the schedulers away when a run goes on, and puts in its own later."""
    return any(isinstance(callback, StochasticWeightAveraging) for callback in trainer.callbacks)  # type: ignore[attr-defined]


def other_callbacks(trainer: Trainer) -> dict[str, Callback]:
    """The callbacks of the user's, by a name that is the same in another process."""
    callbacks = trainer.callbacks[:-1]  # type: ignore[attr-defined]
    return {f"{index}.{type(callback).__name__}": callback for index, callback in enumerate(callbacks)}


def reloads_data(trainer: Trainer) -> bool:
    """Whether the data may be other data in each epoch."""
    return bool(trainer.reload_dataloaders_every_n_epochs)  # type: ignore[attr-defined]


def logged_metrics(trainer: Trainer) -> dict[str, torch.Tensor]:
    """The newest value of everything logged so far; a value not logged again is the same object."""
    return {name: value for name, value in trainer.callback_metrics.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return value.numel() == 1 and not value.is_complex()
    return isinstance(value, (int, float))


def declared_directions(trainer: Trainer) -> dict[str, Mode]:
    """The direction of every logged torchmetrics metric that declares one, under each name it has.

    Lightning adds to a name what it was logged for: ``_step``, ``_epoch``, ``/dataloader_idx_0``.
    """
    loop = trainer.fit_loop.epoch_loop
    directions: dict[str, Mode] = {}
    for result in [*loop._results.values(), *loop.val_loop._results.values()]:
        metric = result.value
        if isinstance(metric, Metric) and isinstance(metric.higher_is_better, bool):
            names = re.compile(re.escape(result.meta.name) + r"(_step|_epoch)?(/dataloader_idx_\d+)?")
            direction: Mode = "max" if metric.higher_is_better else "min"
            directions |= {name: direction for name in trainer.callback_metrics if names.fullmatch(name)}
    return directions | kept_directions(trainer.lightning_module)


def synced_metrics(trainer: Trainer) -> set[str]:
    """What was logged with ``sync_dist=True``, which has the same value on all ranks then."""
    loop = trainer.fit_loop.epoch_loop
    results = [*loop._results.values(), *loop.val_loop._results.values()]
    synced = [r.meta for r in results if r.meta.sync.should and not r.meta.sync.rank_zero_only]
    return {name for meta in synced for name in (meta.name, f"{meta.name}_epoch")}


def preload_checkpoint(trainer: Trainer, path: Path) -> None:
    """Have Lightning restore everything from a checkpoint of ours, from a callback's ``setup``."""
    connector = trainer._checkpoint_connector
    if isinstance(trainer.precision_plugin, DoublePrecision):
        # Lightning restores weights before it makes them double: they would be rounded on the way.
        trainer.precision_plugin.convert_module(trainer.lightning_module)
    try:
        connector.resume_start(path, weights_only=True)
    except pickle.UnpicklingError as error:
        log.warning(
            "The checkpoint %s holds objects that torch does not load with weights_only=True (%s). "
            "It was written by this run and its digest is right, so it is loaded with weights_only=False.",
            path,
            str(error).split("\n")[0],
        )
        connector.resume_start(path, weights_only=False)


def restore_training(trainer: Trainer, content: dict[str, Any]) -> None:
    """Put weights, precision, optimizers and schedulers back to a checkpoint, while a training waits."""
    connector = trainer._checkpoint_connector
    connector._loaded_checkpoint = content
    try:
        connector.restore_model()
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):
                # The checkpoint has the average in place of the weights. Which steps it has taken in stays
                # as it is, for the trainer's count of steps is not taken back either.
                callback.on_load_checkpoint(trainer, trainer.lightning_module, content)
        connector.restore_precision_plugin_state()
        connector.restore_optimizers_and_schedulers()
    finally:
        connector._loaded_checkpoint = {}


def refuse_to_undo_averaging(trainer: Trainer, call: str) -> None:
    """See that no callback has put an optimization of its own in place, which no commit of before fits.

    Raises:
        TrainerError: If one has.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, StochasticWeightAveraging) and callback.swa_start <= trainer.current_epoch:
            raise TrainerError(
                f"{call}: StochasticWeightAveraging has begun, in epoch {callback.swa_start}, and cannot be "
                f"taken back. Go back before it begins, or use EMAWeightAveraging, which can."
            )


def weights_that_do_not_fit(trainer: Trainer, module: LightningModule) -> list[str]:
    """Where the weights of a preloaded checkpoint are of another shape than the module's, in words.

    Nothing is said of a module that makes its layers later, or loads what it likes: torch does then.
    """
    later = any(is_overridden(hook, module) for hook in ("setup", "configure_model", "on_load_checkpoint"))
    if later or not module.strict_loading or any(is_lazy(parameter) for parameter in module.parameters()):
        return []
    then: dict[str, Any] = trainer._checkpoint_connector._loaded_checkpoint["state_dict"]
    now = module.state_dict()
    shapes = [
        f"{name}: was {list(then[name].shape)}, is {list(now[name].shape)}"
        for name in then.keys() & now.keys()
        if getattr(then[name], "shape", None) != getattr(now[name], "shape", None)
    ]
    lacking = [f"{name}: was there, is not" for name in then.keys() - now.keys()]
    added = [f"{name}: was not there, is" for name in now.keys() - then.keys()]
    return sorted([*shapes, *lacking, *added])


def waits_to_be_restored(trainer: Trainer) -> bool:
    """Whether a preloaded checkpoint is still there.

    A finder of learning rates or batch sizes drops it: it restores one of its own from ``on_fit_start``.
    """
    return bool(trainer._checkpoint_connector._loaded_checkpoint)


def drop_preloaded(trainer: Trainer) -> None:
    """Drop a checkpoint that was not restored: what the trainer does next would begin from it."""
    trainer._checkpoint_connector._loaded_checkpoint = {}


def allow_finished_epochs(trainer: Trainer, epochs: int) -> None:
    """Let Lightning restore a run of more epochs than today's ``max_epochs``: it refuses to."""
    if trainer.max_epochs not in (None, -1) and trainer.max_epochs < epochs:
        trainer.fit_loop.max_epochs = epochs


class _Caught(CheckpointIO):
    """Takes what a trainer wants to have saved."""

    content: dict[str, Any] | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.content = checkpoint

    def load_checkpoint(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        raise NotImplementedError

    def remove_checkpoint(self, path: Any) -> None:
        raise NotImplementedError


def checkpoint_content(trainer: Trainer) -> dict[str, Any]:
    """What a full checkpoint holds; its tensors are the trainer's own, not copies.

    With several processes it is the first one that has it, and all have to ask; the others get nothing.

    Raises:
        TrainerError: If the trainer's strategy writes its checkpoints itself, in a form of its own.
    """
    strategy = trainer.strategy
    theirs, ours = strategy.checkpoint_io, _Caught()
    strategy.checkpoint_io = ours
    try:
        # Nothing is written; strategies refuse a folder's path, and remove a folder that is theirs.
        trainer.save_checkpoint(os.devnull, weights_only=False)
    finally:
        strategy.checkpoint_io = theirs
    if ours.content is None and trainer.is_global_zero:
        raise _of_its_own(trainer)
    return ours.content or {}


def _of_its_own(trainer: Trainer) -> TrainerError:
    return TrainerError(
        f"Trainer(strategy={type(trainer.strategy).__name__}): it writes checkpoints in a form of its own, "
        f"which cannot be committed. To shard the module, use ModelParallelStrategy, with torch's "
        f"fully_shard in configure_model; else strategy='ddp', or 'auto' on one device."
    )


def explain_disabled_checkpointing(ours: type[Checkpoint]) -> None:
    """Have ``Trainer(enable_checkpointing=False)`` name our callback where it meets it.

    Lightning refuses any checkpoint callback there before it calls one, and its error speaks of a
    ``ModelCheckpoint`` that the user never gave.
    """
    configure = _CallbackConnector._configure_checkpoint_callbacks

    @functools.wraps(configure)
    def configure_or_explain(connector: Any, enable_checkpointing: bool) -> None:
        given = [callback for callback in connector.trainer.callbacks if isinstance(callback, ours)]
        if given and not enable_checkpointing:
            raise MisconfigurationException(
                f"Trainer(enable_checkpointing=False, callbacks=[{ours.__name__}(...)]): this callback "
                f"commits a checkpoint after every epoch, so that the run can be resumed. Leave "
                f"enable_checkpointing out (and barebones, which implies it): Lightning adds no "
                f"ModelCheckpoint beside it."
            )
        configure(connector, enable_checkpointing)

    _CallbackConnector._configure_checkpoint_callbacks = configure_or_explain  # type: ignore[assignment, method-assign]


@serde.serialize.register(Trainer)
@serde.serialize.register(LightningModule)
@serde.serialize.register(LightningDataModule)
def _name_only(value: object, **kwargs: Any) -> str:
    """What Burr's trackers write of these as inputs of an action: never a whole module."""
    return type(value).__name__
