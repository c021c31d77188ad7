"""The ordinary actions of a run: they run at boundaries, while Lightning waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from burr.core import Application
from lightning.pytorch import LightningModule, Trainer

from .acting import LiveTraining
from .actions import OrdinaryAction
from .burr_access import position_of
from .committing import RunCommits
from .errors import MachineError
from .fingerprint import data_fingerprint
from .graphs import asked_inputs, follow, is_phase, reason_of

_TOUCHING = frozenset({"trainer", "pl_module", "datamodule"})
"""An action that asks for one of these may change what a checkpoint holds."""
_MOST_STEPS = 1000
"""Ordinary actions at one boundary; with more, the machine is taken to be lost among them."""


class OrdinaryActions:
    """Runs the ordinary actions that are due.

    Args:
        trainer: The trainer.
        module: The module in training.
        app: The run's application.
        commits: Told of every action that ran.
        training: What ready-made actions act on.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        app: Application[Any],
        commits: RunCommits,
        training: LiveTraining,
    ) -> None:
        self._trainer, self._module, self._training = trainer, module, training
        self._app, self._commits = app, commits
        self._reason: str | None = None
        self.running: str | None = None
        """The action that is under way."""

    def run(self) -> None:
        """Run all that are due, up to the next phase.

        Raises:
            MachineError: If no phase comes.
        """
        graph = self._app.graph
        steps = 0
        name, condition = follow(graph, position_of(self._app), self._app.state)
        if name is not None and not is_phase(graph, name):
            self._reason = reason_of(condition, self._app.state)
        while name is not None and not is_phase(graph, name):
            steps += 1
            if steps > _MOST_STEPS:
                raise MachineError(
                    f"The machine has run {_MOST_STEPS} ordinary actions at one boundary, the last of them "
                    f"{position_of(self._app)!r}, and goes on to {name!r}. Have its transitions lead back to "
                    f"a TrainEpoch action, or to one that no transition leaves."
                )
            self.running = name
            asked = asked_inputs(graph, name)
            provided = self._inputs()
            self._app.step(inputs={key: provided[key]() for key in asked & provided.keys()})
            self.running = None
            self._commits.stepped()
            self._commits.action_ran(touched=self._touched(name, asked))
            name, _ = follow(graph, position_of(self._app), self._app.state)

    def _touched(self, name: str, asked: set[str]) -> bool:
        action = self._app.graph.get_action(name)
        ready_made = isinstance(action, OrdinaryAction) and action.changes_training
        return ready_made or bool(asked & _TOUCHING)

    def _inputs(self) -> dict[str, Callable[[], Any]]:
        return {
            "training": lambda: self._training,
            "trainer": lambda: self._trainer,
            "pl_module": lambda: self._module,
            "datamodule": lambda: getattr(self._trainer, "datamodule", None),
            "fingerprint": lambda: data_fingerprint(self._trainer),
            "reason": lambda: self._reason,
        }
