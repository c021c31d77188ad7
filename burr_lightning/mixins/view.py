"""What a module sees of its run."""

from __future__ import annotations

from typing import Any

from burr.core import State
from lightning.pytorch import Trainer

from ..callback import BurrCallback
from ..errors import TrainerError
from ..history import MetricHistory
from ..runs import Run


class RunOfModule:
    """The run that a module trains in, as ``self.burr``.

    Args:
        trainer: The module's trainer.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    @property
    def callback(self) -> BurrCallback:
        """The callback that drives the machine.

        Raises:
            TrainerError: If the trainer has none, as before ``fit``.
        """
        for callback in self._trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, BurrCallback):
                return callback
        raise TrainerError(
            "self.burr: the trainer has no BurrCallback. Trainer.fit brings the module's own one; before "
            "that, and where only validate, test or predict was called, there is no run to look at."
        )

    @property
    def state(self) -> State[Any]:
        """The state of the machine, as it was when the action under way began."""
        return self.callback.state

    @property
    def history(self) -> MetricHistory:
        """The metrics so far."""
        return self.callback.history

    @property
    def stage(self) -> str | None:
        """The name of the stage under way, ``None`` before the first, and in a machine without stages."""
        stage = self.state["stage"]
        return str(stage["name"]) if stage is not None else None

    @property
    def run(self) -> Run:
        """The run as it is stored."""
        return self.callback.run

    @property
    def paused(self) -> bool:
        """Whether the newest ``fit`` ended because the run waits for a human."""
        return self.callback.paused
