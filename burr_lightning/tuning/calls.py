"""One call: what is sent to its process, and what its future is told in the end."""

from __future__ import annotations

import itertools
import os
import pickle
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing import spawn
from typing import Any

from ..errors import ProcessDiedError, ProcessNotStartedError, RemoteError, ResultNotPickledError
from ..pickling import in_one_line, main_script, packed
from .child import BEGUN, NOT_SENT, NOT_STARTED, RAISED, RETURNED, Words
from .devices import THREADS, VISIBLE, there_are
from .frames import CHUNK, Frames, framed

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """Where a call runs, or ran."""

    pid: int
    """Its process."""
    slot: int
    """0-based; no two calls run in one slot at a time."""
    device: str | None
    """What it sees as ``CUDA_VISIBLE_DEVICES``, ``None`` where that was left as it was."""

    def __str__(self) -> str:
        return f"slot {self.slot}" if self.device is None else f"slot {self.slot} (GPU {self.device})"


class _RemoteTraceback(Exception):  # noqa: N818
    """Shows, as the cause of an exception, where in the other process it was raised."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class Call:
    """A call from when it is submitted; it keeps the environment, folder and path that there were then.

    Args:
        function: What is called.
        args: Its positional arguments.
        kwargs: Its keyword arguments.
        devices: What is shared out to the slots, ``None`` for the GPUs that there are.
        threads: How many threads its process takes for a computation, ``None`` for as many as it likes.

    Raises:
        NotPickledError: If it cannot be sent to another process.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        devices: Sequence[str] | None,
        threads: int | None = None,
    ) -> None:
        self.name = f"{getattr(function, '__qualname__', repr(function))}()"
        self.future: Future[Any] = Future()
        self.number = next(_numbers)
        self._packed = packed((function, args, kwargs), self.name)
        self._setting = spawn.get_preparation_data(f"{self.name} {self.number}")
        if main_script() is None:
            self._setting.pop("init_main_from_path", None)
        self._setting["authkey"] = bytes(self._setting["authkey"])  # its own type refuses to be pickled
        self._environment = dict(os.environ)
        if threads is not None and THREADS not in self._environment:
            self._environment[THREADS] = str(threads)
            self._setting["threads"] = threads
        self._devices = there_are(self._environment) if devices is None else devices
        self._frames, self._messages = Frames(), list[bytes]()
        self._unsent = memoryview(b"")
        self.retried = False
        """Whether a fork server was lost with it before, when it had no process yet."""
        self.place: Place | None = None

    def open(self, slot: int) -> socket.socket:
        """Take a slot, and make the socket to the process; the end that is given back is the process's."""
        self.slot = slot
        self._frames, self._messages = Frames(), []  # a process before this one may have sent a part
        self.device = self._devices[slot % len(self._devices)] if self._devices else None
        visible = {} if self.device is None else {VISIBLE: self.device}
        self._setting["environment"] = {**self._environment, **visible}
        self._unsent = memoryview(framed(pickle.dumps(self._setting)) + framed(self._packed))
        self.socket, theirs = socket.socketpair()
        self.socket.setblocking(False)
        return theirs

    def started(self, pid: int) -> None:
        """The process runs."""
        self.place = Place(pid, self.slot, self.device)

    def write(self) -> bool:
        """Send as much as goes now; whether there is more. Nothing here waits for one process."""
        try:
            self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:  # it has died, which is told elsewhere
            self._unsent = memoryview(b"")
        return bool(self._unsent)

    def read(self) -> bool:
        """Read all that has come; whether more can come."""
        while True:
            try:
                data = self.socket.recv(CHUNK)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._messages += self._frames.feed(data)

    @property
    def begun(self) -> bool:
        """Whether the function runs, or has run."""
        return bool(self._messages)

    def settle(self, exitcode: int | None) -> None:
        """Tell the future what became of the call, whose process is gone.

        Args:
            exitcode: What it exited with, ``None`` where that is not known.
        """
        what, value, words = self._answer()
        if what == BEGUN:
            pid = None if self.place is None else self.place.pid
            self.future.set_exception(ProcessDiedError(exitcode, pid, self.slot, self.name))
        elif what == NOT_STARTED:
            why = f"its process could not import what it needs.\n{words[2]}"
            self.future.set_exception(ProcessNotStartedError(self.name, why, main_script()))
        elif what == NOT_SENT:
            self.future.set_exception(ResultNotPickledError(self.name, words[0], words[1]))
        elif what == RAISED:
            self.future.set_exception(self._raised(value, words))
        else:
            assert what == RETURNED
            self._return(value)

    def _answer(self) -> tuple[str, Any, Any]:
        said: tuple[str, Any, Any] = (
            pickle.loads(self._messages[-1]) if self._messages else (BEGUN, None, None)
        )
        return said

    def fail_to_start(self, why: str) -> None:
        """Tell the future that there is no process for the call."""
        self.future.set_exception(ProcessNotStartedError(self.name, why))

    def _raised(self, value: bytes | None, words: Words) -> BaseException:
        error = RemoteError(self.name, *words)
        if value is None:
            return error
        try:
            unpacked = pickle.loads(value)
        except Exception:  # many exceptions can be pickled and not unpickled
            return error
        if not isinstance(unpacked, Exception):
            return error
        unpacked.__cause__ = _RemoteTraceback(words[2])
        return unpacked

    def _return(self, value: bytes) -> None:
        try:
            result = pickle.loads(value)
        except Exception as error:
            kind = "a kind that cannot be unpickled here"
            self.future.set_exception(ResultNotPickledError(self.name, kind, in_one_line(error)))
        else:
            self.future.set_result(result)
