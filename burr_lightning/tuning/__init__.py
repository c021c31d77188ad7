"""Hyperparameter search as a state machine: a `Study`, whose trials are runs."""

from ..errors import MissingExtraError

try:
    import optuna as _optuna  # noqa: F401
except ModuleNotFoundError:
    raise MissingExtraError("burr_lightning.tuning", "optuna", "tune") from None

from .ledger import Ledger, TrialRecord
from .population import PopulationBased
from .stopping import max_seconds, no_improvement, target
from .study import OpenedStudy, Study
from .trial import Trial

__all__ = [
    "Ledger",
    "OpenedStudy",
    "PopulationBased",
    "Study",
    "Trial",
    "TrialRecord",
    "max_seconds",
    "no_improvement",
    "target",
]
