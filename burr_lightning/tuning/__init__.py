"""Hyperparameter search as a state machine: a `Study`, whose trials are runs."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError

if TYPE_CHECKING:
    from .in_process import InProcess
    from .ledger import Ledger
    from .local import LocalProcesses
    from .population import PopulationBased
    from .stopping import max_seconds, no_improvement, target
    from .study import OpenedStudy, Study
    from .trial import Trial
    from .trial_record import TrialRecord

if find_spec("optuna") is None:
    raise MissingExtraError("burr_lightning.tuning", "optuna", "tune")

__all__ = [
    "InProcess",
    "Ledger",
    "LocalProcesses",
    "OpenedStudy",
    "PopulationBased",
    "Study",
    "Trial",
    "TrialRecord",
    "max_seconds",
    "no_improvement",
    "target",
]

_HOMES = {
    "InProcess": "in_process",
    "Ledger": "ledger",
    "LocalProcesses": "local",
    "OpenedStudy": "study",
    "PopulationBased": "population",
    "Study": "study",
    "Trial": "trial",
    "TrialRecord": "trial_record",
    "max_seconds": "stopping",
    "no_improvement": "stopping",
    "target": "stopping",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: a fork server imports what it is told to, and no more."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
