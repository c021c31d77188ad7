"""Figures of runs. Matplotlib is imported when one is drawn."""

from .curves import plot_run
from .groups import groups_of, spans_magnitudes
from .marks import Marks

__all__ = ["Marks", "groups_of", "plot_run", "spans_magnitudes"]
