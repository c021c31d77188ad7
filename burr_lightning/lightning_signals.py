"""SIGTERM in a training of several processes: it ends all of them between the same two batches.

Lightning asks the first process alone whether it was told to end, so that another one would leave the
others behind; and it asks in the handler of the signal, where the others may be saying something else.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from .ranks import Ranks


class SharedSigterm:
    """Hears SIGTERM on each rank, and has all of them know of it at the same instants.

    Where there is one rank, it is Lightning that does.

    Args:
        trainer: The trainer.
        ranks: Its processes.
    """

    def __init__(self, trainer: Trainer, ranks: Ranks) -> None:
        self._trainer, self._ranks = trainer, ranks
        self._heard = False

    @property
    def heard(self) -> bool:
        """Whether this process was told to end; the others may not know of it yet."""
        return self._heard or self._trainer.received_sigterm

    def begin(self) -> None:
        """Take over from Lightning, whose handlers are in place; it puts back what was there before them."""
        if self._ranks.size == 1:
            return
        loop: Any = self._trainer.fit_loop.epoch_loop
        loop._broadcast_sigterm_tensor = self._before_batch
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._hear)

    def share(self) -> None:
        """Have all ranks know whether one of them was told to end."""
        if self._ranks.size > 1 and self._ranks.any(self.heard):
            self._trainer._signal_connector.received_sigterm = True

    def end(self) -> None:
        """Leave the loop as it was."""
        self._trainer.fit_loop.epoch_loop.__dict__.pop("_broadcast_sigterm_tensor", None)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        launcher = self._trainer.strategy.launcher
        if not self._heard and launcher is not None:
            launcher.kill(number)
        self._heard = True
        before = self._trainer._signal_connector._original_handlers.get(signal.SIGTERM)
        if callable(before):
            before(number, frame)  # type: ignore[arg-type]

    def _before_batch(self) -> None:
        self.share()
        if self._trainer.received_sigterm:
            raise SIGTERMException
