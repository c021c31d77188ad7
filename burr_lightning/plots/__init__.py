"""Figures of values; `burr_lightning.figures` has those of stored runs. Drawing imports matplotlib."""

from .branches import Branch
from .curves import plot_run
from .groups import groups_of, spans_magnitudes
from .marks import Marks
from .overlay import RunCurves, plot_runs
from .spent import Stretch, Wait, spent
from .timeline import plot_timeline
from .tree import plot_tree

__all__ = [
    "Branch",
    "Marks",
    "RunCurves",
    "Stretch",
    "Wait",
    "groups_of",
    "plot_run",
    "plot_runs",
    "plot_timeline",
    "plot_tree",
    "spans_magnitudes",
    "spent",
]
