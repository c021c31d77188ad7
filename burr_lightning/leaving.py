"""Leaving a ``fit`` whose run waits for a human."""

from __future__ import annotations

import logging
import os

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.rank_zero import rank_zero_info  # type: ignore[attr-defined]

from . import messages
from .layout import REPLAY_VARIABLE, Outcome, RunFolder
from .lightning_access import refuse_other_trainers
from .lightning_leaving import ToldBeforeData, leave_fit
from .opening import OpenRun
from .ranks import Ranks
from .reviews import Reviews
from .settings import RunSettings

log = logging.getLogger(__name__)


class LeavesPaused(ToldBeforeData):
    """The side of `BurrCallback` that leaves a run alone which nobody has answered yet."""

    _opened: OpenRun | None

    def before_data(self, trainer: Trainer) -> None:
        """Leave a run that waits for an answer still, before any data is loaded."""
        if trainer.world_size > 1:
            return  # its processes do not know each other yet: they come to the question when they go on
        if REPLAY_VARIABLE in os.environ or not self.drives(trainer.lightning_module):
            return
        settings = self._settings()
        folder = RunFolder(settings.root, settings.project, settings.run_id)
        asked = Reviews(folder).newest()
        if asked is None or asked.answer is not None:
            return
        refuse_other_trainers(trainer)
        run = OpenRun(settings, trainer, trainer.lightning_module, Ranks(trainer))
        if not run.stays_paused():
            run.close()
            return
        self._opened = run
        for line in messages.opened(run):
            rank_zero_info(line)
        end_paused(run)
        leave_fit(trainer)

    def drives(self, pl_module: LightningModule) -> bool:
        """Whether it drives the training of a module."""
        raise NotImplementedError

    def _settings(self) -> RunSettings:
        raise NotImplementedError


def end_paused(run: OpenRun) -> None:
    """Let a run go that waits, and say what for."""
    pause = run.driver.asking.paused
    assert pause is not None
    if run.leads:
        run.driver.asking.tell(pause)
        for line in messages.paused(pause):
            log.warning("%s", line)  # whatever of Lightning's is silenced
    run.ended(Outcome("paused"))
