"""Ending a ``fit`` that waits for a human: what this library asks of Lightning for that.

Read off Lightning 2.6; `tests/test_lightning_access.py` fails loudly when a private name changes.
"""

from __future__ import annotations

from typing import Any, NoReturn

from lightning.pytorch import Trainer
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
        trainer = log.__self__.trainer
        if trainer.state.fn == "fit":
            self.before_data(trainer)


def leave_fit() -> NoReturn:
    """Have ``trainer.fit`` return here and now, as if it had trained.

    Raises:
        _TunerExitException: The trainer catches it.
    """
    raise _TunerExitException


class Leaving:
    """Lets a trainer stop though its ``min_epochs`` and ``min_steps`` are not met.

    Args:
        trainer: The trainer.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._limits: tuple[int | None, int | None] | None = None

    def allow(self) -> None:
        """From here on it may stop."""
        loop = self._trainer.fit_loop
        self._limits = (loop.min_epochs, loop.epoch_loop.min_steps)
        loop.min_epochs = loop.epoch_loop.min_steps = None

    def end(self) -> None:
        """It has stopped: its limits are what they were."""
        if self._limits is not None:
            loop = self._trainer.fit_loop
            loop.min_epochs, loop.epoch_loop.min_steps = self._limits
            self._limits = None
