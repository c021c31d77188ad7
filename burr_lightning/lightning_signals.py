"""SIGTERM in a training of several processes: it ends all of them between the same two batches.

Lightning asks the first process alone whether it was told to end, so that another one would leave the
others behind; and it asks in the handler of the signal, where the others may be saying something else.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

from types import FrameType

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from .lightning_slurm import Requeue
from .ranks import Ranks


class SharedSigterm:
    """Hears SIGTERM on each rank, and has all of them know of it at the same instants.

    Where there is one rank, it is Lightning that does.

    Args:
        trainer: The trainer.
        ranks: Its processes.
        requeue: Told at the same instants whether one of them has heard SLURM's signal.
    """

    def __init__(self, trainer: Trainer, ranks: Ranks, requeue: Requeue) -> None:
        self._trainer, self._ranks, self._requeue = trainer, ranks, requeue
        self._heard = False

    @property
    def heard(self) -> bool:
        """Whether this process was told to end; the others may not know of it yet."""
        return self._heard or self._trainer.received_sigterm

    def begin(self) -> None:
        """Before Lightning sets its handlers, have it set these where it would set its own."""
        self._requeue.begin()
        if self._ranks.size == 1:
            return
        loop, connector = self._trainer.fit_loop.epoch_loop, self._trainer._signal_connector
        loop._broadcast_sigterm_tensor = self._before_batch  # type: ignore[method-assign]
        connector._sigterm_notifier_fn = self._hear  # type: ignore[assignment, method-assign]

    def share(self) -> None:
        """Have all ranks know whether one of them was told to end, or has heard of the end of its job."""
        if self._ranks.size == 1:
            return
        ends, self._requeue.is_known = self._ranks.any(self.heard, self._requeue.heard)
        if ends:
            self._trainer._signal_connector.received_sigterm = True

    def end(self) -> None:
        """Leave the loop as it was, and the next training Lightning's own handlers."""
        self._requeue.end()
        self._trainer._signal_connector.__dict__.pop("_sigterm_notifier_fn", None)
        self._trainer.fit_loop.epoch_loop.__dict__.pop("_broadcast_sigterm_tensor", None)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        launcher = self._trainer.strategy.launcher
        if not self._heard and launcher is not None:
            launcher.kill(number)
        self._heard = True

    def _before_batch(self) -> None:
        self.share()
        if self._trainer.received_sigterm:
            raise SIGTERMException
        self._requeue.between_batches()
