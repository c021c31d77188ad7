"""The actions of a training run."""

from .begin_stage import BeginStage
from .best_model import BestModel
from .call import Call
from .evaluate import Evaluate
from .freezing import Freeze, Unfreeze
from .learning_rate import SetLearningRate
from .ordinary import Kept, OrdinaryAction, Training
from .phases import PhaseAction, PhaseFeed, TrainEpoch, Validate
from .process_data import ProcessData
from .pruned import Pruned
from .restart_schedule import RestartSchedule
from .review import Review
from .rollback import Rollback
from .swap_data import SwapData

__all__ = [
    "BeginStage",
    "BestModel",
    "Call",
    "Evaluate",
    "Freeze",
    "Kept",
    "OrdinaryAction",
    "PhaseAction",
    "PhaseFeed",
    "ProcessData",
    "Pruned",
    "RestartSchedule",
    "Review",
    "Rollback",
    "SetLearningRate",
    "SwapData",
    "TrainEpoch",
    "Training",
    "Unfreeze",
    "Validate",
]
