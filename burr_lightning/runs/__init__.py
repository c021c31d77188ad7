"""Runs as they are stored: opened from outside a training process, while one trains or not."""

from ..questions import Answer, Field, Question
from ..steps import MachinePath
from .asked import Status
from .committed import Commit
from .finding import Runs, find_run, list_runs
from .run import Run

__all__ = [
    "Answer",
    "Commit",
    "Field",
    "MachinePath",
    "Question",
    "Run",
    "Runs",
    "Status",
    "find_run",
    "list_runs",
]
