"""Mixins for a `LightningModule` that brings its own machine."""

from .burr import BurrMixin
from .stages import stage

__all__ = ["BurrMixin", "stage"]
