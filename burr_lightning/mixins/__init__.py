"""Mixins for a `LightningModule`: one that brings its own machine, one that keeps its metrics."""

from .burr import BurrMixin
from .metrics import MetricsMixin
from .stages import stage

__all__ = ["BurrMixin", "MetricsMixin", "stage"]
