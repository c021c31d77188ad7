"""What a module sees of its run."""

from __future__ import annotations

from typing import Any

from burr.core import State
from lightning.pytorch import LightningModule

from ..callback import BurrCallback
from ..errors import TrainerError
from ..history import MetricHistory
from ..runs import Run


class Brought:
    """The callback that a module has brought: left out of the module's copies, which train no run."""

    callback: BurrCallback | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {}


class RunOfModule:
    """The run that a module trains in, or has trained in, as ``self.burr``.

    Args:
        module: The module.
        brought: The callback that it has brought last, wherever the trainer has gone on since.
    """

    def __init__(self, module: LightningModule, brought: Brought) -> None:
        self._module, self._brought = module, brought

    @property
    def callback(self) -> BurrCallback:
        """The callback that drives the machine.

        Raises:
            TrainerError: If there was no ``fit`` of this module yet.
        """
        trained = self._trained()
        if trained is not None:
            return trained
        raise TrainerError(
            "self.burr: there is no run to look at before trainer.fit has begun with this module, nor where "
            "only validate, test or predict was called. Run.open(run_id) reads what another process trained."
        )

    def _trained(self) -> BurrCallback | None:
        return next((each for each in self._callbacks() if each.trained(self._module)), None)

    def _callbacks(self) -> list[BurrCallback]:
        try:
            attached = self._module.trainer.callbacks  # type: ignore[attr-defined]
        except RuntimeError:  # Lightning's, where there is none
            attached = []
        ours = [each for each in [*attached, self._brought.callback] if isinstance(each, BurrCallback)]
        return [each for each in ours if each.drives(self._module)]

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
        # One that child processes have trained is known by its name alone.
        named = [each for each in self._callbacks() if each.run_id is not None and not each.opened]
        return (named[0] if named and self._trained() is None else self.callback).run

    @property
    def paused(self) -> bool:
        """Whether the newest ``fit`` ended because the run waits for a human."""
        return self.callback.paused
