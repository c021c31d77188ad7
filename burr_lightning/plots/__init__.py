"""Figures of values; `burr_lightning.figures` has those of stored runs. Drawing imports matplotlib."""

from .branches import Branch
from .curves import plot_run
from .groups import groups_of, spans_magnitudes
from .importance import plot_importance
from .marks import Marks
from .overlay import RunCurves, plot_runs
from .parallel import plot_parallel
from .progress import plot_progress
from .slices import plot_slices
from .spent import Stretch, Wait, spent
from .timeline import plot_timeline
from .tree import plot_tree
from .trials import Objective, Parameter, Tried, parameters_of
from .workers import Bar, plot_workers

__all__ = [
    "Bar",
    "Branch",
    "Marks",
    "Objective",
    "Parameter",
    "RunCurves",
    "Stretch",
    "Tried",
    "Wait",
    "groups_of",
    "parameters_of",
    "plot_importance",
    "plot_parallel",
    "plot_progress",
    "plot_run",
    "plot_runs",
    "plot_slices",
    "plot_timeline",
    "plot_tree",
    "plot_workers",
    "spans_magnitudes",
    "spent",
]
