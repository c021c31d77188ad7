"""Stop conditions: Burr conditions over the metric history, to be combined with ``&``, ``|``, ``~``."""

from .base import Explanation, StopCondition, explain, metrics_of
from .limits import max_epochs, max_steps, max_time
from .overfitting import overfitting
from .parsing import parse_condition
from .plateau import plateau
from .prechelt import consecutive_increases, generalization_loss, progress_quotient
from .reached import diverged, not_finite, reached
from .slope import slope_below
from .spike import spike

__all__ = [
    "Explanation",
    "StopCondition",
    "consecutive_increases",
    "diverged",
    "explain",
    "generalization_loss",
    "max_epochs",
    "max_steps",
    "max_time",
    "metrics_of",
    "not_finite",
    "overfitting",
    "parse_condition",
    "plateau",
    "progress_quotient",
    "reached",
    "slope_below",
    "spike",
]
