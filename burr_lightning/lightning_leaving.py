"""The end of a ``fit`` that waits for a human, or that an exception ends: what is asked of Lightning for it.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies.launchers.multiprocessing import _MultiProcessingLauncher
from lightning.pytorch.utilities.exceptions import _TunerExitException


class ToldBeforeData:
    """A callback that is told of a ``fit`` before Lightning touches any data.

    The first hook of a callback comes after ``prepare_data`` and ``setup`` of the data. Before them
    Lightning gives every callback the module's ``log``: that is the instant.
    """

    _log: Any = None

    def before_data(self, trainer: Trainer) -> None:
        """A ``fit`` begins, and no data was touched."""

    @property
    def log(self) -> Any:
        """The module's ``log``."""
        return self._log

    @log.setter
    def log(self, log: Any) -> None:
        self._log = log
        module = getattr(log, "__self__", None)  # a module may have another log
        trainer = getattr(module, "trainer", None)
        if isinstance(trainer, Trainer) and trainer.state.fn == "fit":
            self.before_data(trainer)


def leave_fit(trainer: Trainer) -> NoReturn:
    """Have ``trainer.fit`` return here and now, as if it had trained; before anything was set up.

    Raises:
        _TunerExitException: The trainer catches it.
    """
    _without_teardown(trainer)
    raise _TunerExitException


def tell_of_exceptions(trainer: Trainer, tell: Callable[[BaseException], None]) -> None:
    """Have it told of an exception that ends the training, where Lightning tells no callback of it.

    It tells those of the process that has called ``fit``. One that was forked or spawned from it ends
    without a word: with SIGTERM it would end as if it had trained, and the other wait for what it has.
    """
    if not isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        return
    run = trainer._run_stage

    def run_and_tell() -> Any:
        try:
            return run()
        except BaseException as error:
            tell(error)
            raise

    trainer._run_stage = run_and_tell  # type: ignore[method-assign]


def _without_teardown(trainer: Trainer) -> None:
    """Have nothing torn down that was not set up: the trainer calls it all the same."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    trainer.callbacks = [_PutBack(callbacks)]  # type: ignore[attr-defined]
    for owner in (trainer.lightning_module, getattr(trainer, "datamodule", None)):
        if owner is not None:
            owner.__dict__["teardown"] = partial(_not_this_time, owner)


class _PutBack(Callback):
    """Stands for the trainer's callbacks while they are not to be torn down."""

    def __init__(self, callbacks: list[Callback]) -> None:
        self._callbacks = callbacks

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put them back."""
        trainer.callbacks = self._callbacks  # type: ignore[attr-defined]


def _not_this_time(owner: Any, stage: str | None = None) -> None:
    del owner.__dict__["teardown"]


class Leaving:
    """Our wish that a trainer stops, told from the wishes of others.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._limits: tuple[int | None, int | None] | None = None
        self.asked = False
        """Whether nobody else wishes it."""

    def stop(self, *, at_once: bool) -> None:
        """Have it stop.

        Args:
            at_once: Whether it does so though its ``min_epochs`` and ``min_steps`` are not met.
        """
        if at_once and self._limits is None:
            loop = self._trainer.fit_loop
            self._limits = (loop.min_epochs, loop.epoch_loop.min_steps)
            loop.min_epochs = loop.epoch_loop.min_steps = None
        self.asked |= not self._trainer.should_stop
        self._trainer.should_stop = True

    def take_back(self) -> None:
        """Let it go on, unless others wish it to stop."""
        self._trainer.should_stop &= not self.asked
        self.asked = False

    def end(self) -> None:
        """It has stopped: its limits are what they were."""
        if self._limits is not None:
            loop = self._trainer.fit_loop
            loop.min_epochs, loop.epoch_loop.min_steps = self._limits
            self._limits = None
