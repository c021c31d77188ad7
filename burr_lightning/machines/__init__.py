"""Ready-made machines, built with Burr's own GraphBuilder."""

from ..graphs import CAN_PAUSE, CAN_STOP, FINISHED, VALIDATION_DUE
from .answers import answered, since_review
from .curriculum import Lesson, curriculum
from .default import default_machine
from .rollback_on_divergence import rollback_on_divergence
from .staged_finetuning import Unfrozen, staged_finetuning
from .stages import Stage, staged_machine
from .views import in_this_stage
from .warm_restarts import warm_restarts

__all__ = [
    "CAN_PAUSE",
    "CAN_STOP",
    "FINISHED",
    "VALIDATION_DUE",
    "Lesson",
    "Stage",
    "Unfrozen",
    "answered",
    "curriculum",
    "default_machine",
    "in_this_stage",
    "rollback_on_divergence",
    "since_review",
    "staged_finetuning",
    "staged_machine",
    "warm_restarts",
]
