"""The wish to end a study: Ctrl-C in its terminal, or SIGTERM of a scheduler."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_TERMINATED = 128 + signal.SIGTERM


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Have SIGTERM raise a ``SystemExit`` as Ctrl-C raises a ``KeyboardInterrupt``; once, in the main thread.

    A process that does nothing about SIGTERM ends at once, and its trials with it, without a commit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)


def _raise_once(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a scheduler may say it twice
    raise SystemExit(_TERMINATED)


def is_interruption(error: BaseException) -> bool:
    """Whether an error is the wish to end that reached a training, and no exit of the user's own."""
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    told = isinstance(error, SystemExit) and error.code == _TERMINATED
    return told or isinstance(error, (KeyboardInterrupt, SIGTERMException))


def in_words(error: BaseException) -> str:
    """What interrupts a study."""
    return "Ctrl-C" if isinstance(error, KeyboardInterrupt) else "SIGTERM"
