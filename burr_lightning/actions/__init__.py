"""The actions of a training run."""

from .best_model import BestModel
from .phases import PhaseAction, PhaseFeed, TrainEpoch, Validate
from .process_data import ProcessData

__all__ = ["BestModel", "PhaseAction", "PhaseFeed", "ProcessData", "TrainEpoch", "Validate"]
