"""The steps of the machine in Lightning's loggers."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer

from .flattened import flattened
from .trainer_hook import TrainerHook


class LightningLoggerHook(TrainerHook):
    """Writes every step of the machine into the trainer's loggers, at the trainer's global step.

    What is written: ``burr/<action>_seconds``, how long the step took, and ``burr/step``, its number in the
    run. Numbers that an ordinary action gave are written too, as ``burr/<action>/<name>``, those in
    lists and mappings by the path to them: of `Rollback` as the action ``back``, ``burr/back/to`` and
    ``burr/back/lr/0``.

    Example:
        >>> from burr_lightning import BurrCallback
        >>> burr = BurrCallback(hooks=[LightningLoggerHook()])
    """

    def step_ended(
        self, trainer: Trainer, action: str, seconds: float, result: dict[str, Any], state: Any
    ) -> None:
        """Write the step."""
        logged = {f"burr/{action}_seconds": seconds, "burr/step": float(state["__SEQUENCE_ID"])}
        if "first_batch" not in result:  # what a phase logged is in the loggers already
            logged |= {
                f"burr/{action}/{name}": float(value)
                for name, value in flattened(result).items()
                if isinstance(value, (int, float)) and not isinstance(value, bool)
            }
        for logger in trainer.loggers:
            logger.log_metrics(logged, step=trainer.global_step)
