"""Other data for the epochs to come: settings of whoever makes the loaders, or other loaders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from burr.core.graph import Graph
from lightning.pytorch import LightningModule, Trainer

from .. import lightning_data as data
from ..actions import SwapData
from ..errors import ArgumentError, ResumeError


def swap(
    trainer: Trainer,
    module: LightningModule,
    settings: Mapping[str, Any],
    train: Callable[[], Any] | None,
    validation: Callable[[], Any] | None,
) -> None:
    """Change the settings, and who makes the loaders; they are made later.

    Raises:
        ArgumentError: If nobody has a setting of that name, or it changes no loader.
    """
    if settings and not data.has_settings(trainer):
        raise ArgumentError(
            f"SwapData({', '.join(settings)}): the loaders were made before trainer.fit(), so that a setting "
            f"changes nothing about them. Give a datamodule to fit(), or SwapData(train_dataloader=function)."
        )
    owner = getattr(trainer, "datamodule", None) or module
    hparams = getattr(owner, "hparams", {})
    for name, value in settings.items():
        if not hasattr(owner, name) and name not in hparams:
            known = sorted({*(n for n in vars(owner) if not n.startswith("_")), *hparams})
            raise ArgumentError(
                f"SwapData({name}={value!r}): {type(owner).__name__} has no attribute of that name. It has "
                f"{', '.join(known)}."
            )
        if name in hparams:
            hparams[name] = value
        if name not in hparams or name in vars(owner):
            setattr(owner, name, value)
    data.take_data_from(trainer, train, validation)


def swap_again(
    trainer: Trainer, module: LightningModule, graph: Graph, kept: Mapping[str, Any], run_id: str
) -> None:
    """Have the data that a run had come to, before any loader is made.

    Raises:
        ResumeError: If the machine has no action that made a loader.
    """
    makers: dict[str, Callable[[], Any] | None] = {}
    for kind in ("train", "validation"):
        name = kept[kind]
        action = graph.get_action(name) if name is not None else None
        if name is not None and not isinstance(action, SwapData):
            raise ResumeError(
                f"Run {run_id!r} was trained on data from its action {name!r}, and the machine has no "
                f"SwapData of that name. Give it the machine that it was started with, or start a new run."
            )
        if isinstance(action, SwapData):
            makers[kind] = action.train_dataloader if kind == "train" else action.val_dataloader
    swap(trainer, module, kept["settings"], makers.get("train"), makers.get("validation"))
