"""Train PyTorch Lightning models as Apache Burr state machines."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .callback import BurrCallback
    from .commits import Checkpoints
    from .conditions import explain
    from .history import MetricHistory
    from .machines import default_machine
    from .runs import Run, list_runs
    from .stopping import compare_stopping

__version__ = "0.1.0"

__all__ = [
    "BurrCallback",
    "Checkpoints",
    "MetricHistory",
    "Run",
    "compare_stopping",
    "default_machine",
    "explain",
    "list_runs",
]

_HOMES = {
    "BurrCallback": "callback",
    "Checkpoints": "commits",
    "MetricHistory": "history",
    "Run": "runs",
    "compare_stopping": "stopping",
    "default_machine": "machines",
    "explain": "conditions",
    "list_runs": "runs",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: the command line must not wait for torch."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
