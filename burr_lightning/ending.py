"""The end of a training: a machine that did not foresee it is told, and the best weights are given."""

from __future__ import annotations

import logging
from typing import Any

from burr.core import Application
from lightning.pytorch import Trainer

from . import lightning_limits as limits
from . import messages
from .acting import LiveTraining
from .actions import BestModel
from .asking import Asking
from .burr_access import position_of
from .ordinary import OrdinaryActions
from .walking import Walk

log = logging.getLogger(__name__)


class Ending:
    """What is done when Lightning trains no more.

    Args:
        trainer: The trainer.
        app: The run's application.
        walk: Where the machine stands.
        ordinary: Runs what is due.
        training: What has the best weights loaded.
        asking: Knows whether a human is waited for.
    """

    def __init__(
        self,
        trainer: Trainer,
        app: Application[Any],
        walk: Walk,
        ordinary: OrdinaryActions,
        training: LiveTraining,
        asking: Asking,
    ) -> None:
        self._trainer, self._app, self._walk = trainer, app, walk
        self._ordinary, self._training, self._asking = ordinary, training, asking

    def lightning_ended(self) -> None:
        """Have a machine go on to its end, where it thinks that the training goes on."""
        if self._walk.ended or self._asking.paused:
            return
        state = self._app.state
        if not state["finished"]:
            epochs, steps = state["epoch"] + 1, state["global_step"]
            limit = limits.reached_limit(self._trainer, epochs, steps) or "Lightning ended the training"
            self._app.update_state(state.update(finished=True, stop_reason=limit))
        self._ordinary.run()
        if not self._walk.ended and not self._asking.paused:
            position, following = position_of(self._app), self._walk.next()[0]
            log.warning("%s", messages.goes_on_alone(self._app.state, position, following))

    def give_best_weights(self) -> None:
        """Load and export the weights of the best epoch, if the machine ended in an action that wants it."""
        position = position_of(self._app)
        action = self._app.graph.get_action(position) if position is not None else None
        if isinstance(action, BestModel) and self._walk.phase is None:
            load, export = action.load_weights, action.export
            self._training.give_best_weights(self._app.state, load=load, export=export)
