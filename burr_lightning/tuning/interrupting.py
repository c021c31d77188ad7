"""The wish to end a study: Ctrl-C in its terminal, SIGTERM of a scheduler, or a terminal that is closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_IN_WORDS = {128 + number: number.name for number in _ENDING}
"""What a process exits with that one of them has ended, and which one that was."""


class Signals:
    """What a study's process is told while the study runs.

    The first signal raises: Ctrl-C a ``KeyboardInterrupt``, SIGTERM and SIGHUP a ``SystemExit``, since a
    process that does nothing about them ends at once, and its trials with it, without a commit. After that
    these two say nothing new, and Ctrl-C says that the user does not want to wait any more.
    """

    def __init__(self) -> None:
        self._first: signal.Signals | None = None
        self._interrupted = self._waits = self._again = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear them, in the main thread; where Ctrl-C is not Python's own, it stays what it is.

        So does SIGHUP where somebody else hears it, or nobody is to: under ``nohup`` a study trains on.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {signal.SIGTERM: signal.getsignal(signal.SIGTERM)}
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            before[signal.SIGINT] = signal.default_int_handler
        if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
            before[signal.SIGHUP] = signal.SIG_DFL
        try:
            for number in before:
                signal.signal(number, self._hear)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self._interrupted:
            self._interrupted, self._first = True, signal.Signals(number)
            raise self._error()
        self._again |= number == signal.SIGINT
        self._give_up()

    def _give_up(self) -> None:
        if self._again and self._waits:
            self._waits = False  # once: what is written down then is not to be interrupted
            raise KeyboardInterrupt

    def _error(self) -> BaseException:
        if self._first is None or self._first is signal.SIGINT:
            return KeyboardInterrupt()
        return SystemExit(128 + self._first)

    def see_to_swallowed(self) -> None:
        """Raise what a signal raised before, in code that did not let it through."""
        if self._first is not None:
            raise self._error()

    def cause(self, error: BaseException) -> BaseException:
        """What ends the study, in place of what was raised: Lightning makes an exit of Ctrl-C."""
        self._interrupted = True
        if self._first is None or isinstance(error, type(self._error())):
            return error
        return self._error()

    @contextmanager
    def waits(self) -> Iterator[None]:
        """Within this another Ctrl-C raises, and after it none does."""
        self._waits = True
        try:
            self._give_up()  # it may have come already
            yield
        finally:
            self._waits = False


def is_interruption(error: BaseException) -> bool:
    """Whether an error is the wish to end that reached a training, and no exit of the user's own."""
    from lightning.pytorch.utilities.exceptions import SIGTERMException

    told = isinstance(error, SystemExit) and error.code in list(_IN_WORDS)
    return told or isinstance(error, (KeyboardInterrupt, SIGTERMException))


def in_words(error: BaseException) -> str:
    """What interrupts a study."""
    if isinstance(error, KeyboardInterrupt):
        return "Ctrl-C"
    code = error.code if isinstance(error, SystemExit) else None
    signalled = _IN_WORDS.get(code) if isinstance(code, int) else None
    return signalled or f"sys.exit({code!r})"
