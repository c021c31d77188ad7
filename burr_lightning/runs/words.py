"""A stored run in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..amounts import number

if TYPE_CHECKING:
    from .run import Run


def status_in_words(run: Run) -> str:
    """How a run stands: its status, but of a fork that nothing has trained yet nothing was interrupted."""
    return "not started" if run.is_untrained else run.status


def best_in_words(run: Run) -> str:
    """The best value of the monitored metric and its epoch, empty where there is none."""
    best, monitor = run.best, run.state["monitor"] if run.state is not None else None
    if best is None or best["value"] is None or monitor is None:
        return ""
    return f"{monitor['metric']} {number(best['value'])} (epoch {best['epoch']})"
