"""Waiting until a child ends, a signal comes or a time is reached, without looking again and again."""

from __future__ import annotations

import os
import select
import signal
from types import FrameType

_A_DAY = 86400.0
"""Seconds: the system cannot wait for as long as a float can say."""

_ASKED_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Waking:
    """As a context manager, what wakes this process: the ends of its children, and being asked to end.

    Only the main thread can be woken this way.
    """

    def __init__(self) -> None:
        self.asked = 0
        """How often this process was asked to end."""

    def __enter__(self) -> Waking:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        # Whoever started us with nohup does not want us to end with the terminal.
        wanted = [number for number in _ASKED_TO_END if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._ask) for number in wanted}
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float | None) -> None:
        """Return at the next signal, a child's end included, or after so many seconds, a day at most."""
        select.select([self._read], [], [], None if seconds is None else min(seconds, _A_DAY))
        try:
            while os.read(self._read, 1000):
                pass
        except BlockingIOError:
            pass

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
