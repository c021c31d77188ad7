"""What ready-made actions do to a training that is under way."""

from .live import LiveTraining

__all__ = ["LiveTraining"]
