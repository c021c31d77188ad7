"""The ordinary actions of a run: they run at boundaries, while Lightning waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from burr.core import Application
from lightning.pytorch import LightningModule, Trainer

from .burr_access import position_of
from .committing import RunCommits
from .fingerprint import data_fingerprint
from .machines import asked_inputs, follow, is_phase, reason_of

_TOUCHING = frozenset({"trainer", "pl_module", "datamodule"})
"""An action that asks for one of these may change what a checkpoint holds."""


class OrdinaryActions:
    """Runs the ordinary actions that are due.

    Args:
        trainer: The trainer.
        module: The module in training.
        app: The run's application.
        commits: Told of every action that ran.
    """

    def __init__(
        self, trainer: Trainer, module: LightningModule, app: Application[Any], commits: RunCommits
    ) -> None:
        self._trainer, self._module = trainer, module
        self._app, self._commits = app, commits
        self._reason: str | None = None
        self.running: str | None = None
        """The action that is under way."""

    def run(self) -> None:
        """Run all that are due, up to the next phase."""
        graph = self._app.graph
        name, condition = follow(graph, position_of(self._app), self._app.state)
        if name is not None and not is_phase(graph, name):
            self._reason = reason_of(condition, self._app.state)
        while name is not None and not is_phase(graph, name):
            self.running = name
            asked = asked_inputs(graph, name)
            provided = self._inputs()
            self._app.step(inputs={key: provided[key]() for key in asked & provided.keys()})
            self.running = None
            self._commits.stepped()
            self._commits.action_ran(touched=bool(asked & _TOUCHING))
            name, _ = follow(graph, position_of(self._app), self._app.state)

    def _inputs(self) -> dict[str, Callable[[], Any]]:
        return {
            "trainer": lambda: self._trainer,
            "pl_module": lambda: self._module,
            "datamodule": lambda: getattr(self._trainer, "datamodule", None),
            "fingerprint": lambda: data_fingerprint(self._trainer),
            "reason": lambda: self._reason,
        }
