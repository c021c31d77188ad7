"""Runs as they are stored: opened from outside a training process, while one trains or not."""

from .asked import Status
from .finding import find_run, list_runs
from .run import Run

__all__ = ["Run", "Status", "find_run", "list_runs"]
