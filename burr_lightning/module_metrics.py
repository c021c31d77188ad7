"""Metrics that a module keeps beside its parts: none of them is in its parameters, nor in its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeGuard

from lightning.pytorch import LightningModule
from torchmetrics import Metric

from .metric import Mode


class KeepsMetrics(Protocol):
    """A module that keeps metrics, and tells of them."""

    def burr_running_metrics(self) -> Mapping[str, Metric]:
        """The metrics, by names that are the same in another process."""

    def burr_expect_metrics(self, names: Iterable[str]) -> None:
        """Have those of these names, some of which are only made when they are needed."""

    def burr_metric_directions(self) -> Mapping[str, Mode]:
        """The direction of each that declares one, by the name it was logged under."""


def metrics_of(module: LightningModule) -> dict[str, Metric]:
    """All metrics of a module: those that are parts of it, and those that it keeps."""
    parts = {name: part for name, part in module.named_modules() if isinstance(part, Metric)}
    return {**parts, **module.burr_running_metrics()} if _keeps_metrics(module) else parts


def expect_metrics(module: LightningModule, names: Iterable[str]) -> None:
    """Have a module make the metrics that a commit has the states of."""
    if _keeps_metrics(module):
        module.burr_expect_metrics(names)


def kept_directions(module: LightningModule) -> dict[str, Mode]:
    """The directions that a module tells of itself: it has logged numbers, which declare none."""
    return dict(module.burr_metric_directions()) if _keeps_metrics(module) else {}


def _keeps_metrics(module: LightningModule) -> TypeGuard[KeepsMetrics]:
    """To ask a runtime-checkable protocol would take twenty times as long, several times in each epoch."""
    return hasattr(type(module), "burr_running_metrics")
