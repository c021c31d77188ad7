"""Hyperparameter search as a state machine: a `Study`, whose trials are runs."""

from ..errors import MissingExtraError

try:
    import optuna as _optuna  # noqa: F401
except ModuleNotFoundError:
    raise MissingExtraError("burr_lightning.tuning", "optuna", "tune") from None

from .in_process import InProcess
from .ledger import Ledger
from .local import LocalProcesses
from .population import PopulationBased
from .stopping import max_seconds, no_improvement, target
from .study import OpenedStudy, Study
from .trial import Trial
from .trial_record import TrialRecord

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
