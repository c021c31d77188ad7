"""Ready-made machines, built with Burr's own GraphBuilder."""

from ..graphs import CAN_STOP, FINISHED, PROVIDED_INPUTS, VALIDATION_DUE
from .chosen import chosen_machine
from .curriculum import Lesson, curriculum
from .default import default_machine
from .rollback_on_divergence import rollback_on_divergence
from .staged_finetuning import Unfrozen, staged_finetuning
from .stages import Stage, in_this_stage, staged_machine
from .warm_restarts import warm_restarts

__all__ = [
    "CAN_STOP",
    "FINISHED",
    "PROVIDED_INPUTS",
    "VALIDATION_DUE",
    "Lesson",
    "Stage",
    "Unfrozen",
    "chosen_machine",
    "curriculum",
    "default_machine",
    "in_this_stage",
    "rollback_on_divergence",
    "staged_finetuning",
    "staged_machine",
    "warm_restarts",
]
