"""For tests of your own parts: a module that logs what it is told, a human who answers, and contracts."""

from .of_actions import check_action
from .of_conditions import check_condition
from .of_persisters import check_persister
from .scripted import ScriptedModule, scripted_loader
from .scripted_human import ScriptedHuman
from .scripted_run import scripted_run

__all__ = [
    "ScriptedHuman",
    "ScriptedModule",
    "check_action",
    "check_condition",
    "check_persister",
    "scripted_loader",
    "scripted_run",
]
