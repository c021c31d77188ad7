"""Ready-made hooks: Burr lifecycle adapters for `BurrCallback(hooks=[...])`."""

from .console import ConsoleHook
from .logger import LightningLoggerHook
from .trainer_hook import TrainerHook

__all__ = ["ConsoleHook", "LightningLoggerHook", "TrainerHook"]
