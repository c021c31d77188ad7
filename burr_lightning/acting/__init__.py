"""What ready-made actions do to a training that is under way."""

from .live import LiveTraining, Told

__all__ = ["LiveTraining", "Told"]
