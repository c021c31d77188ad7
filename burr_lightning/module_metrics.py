"""Metrics that a module keeps beside its parts: none of them is in its parameters, nor in its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from lightning.pytorch import LightningModule
from torchmetrics import Metric

from .metric import Mode


@runtime_checkable
class KeepsMetrics(Protocol):
    """A module that keeps metrics, and tells of them."""

    def running_metrics(self) -> Mapping[str, Metric]:
        """The metrics, by names that are the same in another process."""

    def metric_directions(self) -> Mapping[str, Mode]:
        """The direction of each that declares one, by the name it was logged under."""


def metrics_of(module: LightningModule) -> dict[str, Metric]:
    """All metrics of a module: those that are parts of it, and those that it keeps."""
    parts = {name: part for name, part in module.named_modules() if isinstance(part, Metric)}
    return {**parts, **module.running_metrics()} if isinstance(module, KeepsMetrics) else parts


def kept_directions(module: LightningModule) -> dict[str, Mode]:
    """The directions that a module tells of itself: it has logged numbers, which declare none."""
    return dict(module.metric_directions()) if isinstance(module, KeepsMetrics) else {}
