"""Stop conditions: Burr conditions over the metric history, to be combined with ``&``, ``|``, ``~``."""

from .base import Explanation, StopCondition, explain, metrics_of
from .plateau import plateau
from .reached import reached

__all__ = ["Explanation", "StopCondition", "explain", "metrics_of", "plateau", "reached"]
