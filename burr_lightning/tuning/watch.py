"""The thread that starts calls, hears from their processes, and sleeps in between."""

from __future__ import annotations

import heapq
import math
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from ..pickling import in_one_line
from .calls import Call, Place
from .fork_server import ENDED, FAILED, STARTED
from .server import Server

_A_DAY = 86400.0
"""Seconds: the system cannot wait for as long as a float can say."""

_GONE = (
    "The fork server, which the processes are forked from, ended while it imported {modules}. What it "
    "printed says why; LocalProcesses(start='spawn') does without these imports."
)


class Watch:
    """Calls that wait, calls that run, and the thread that sees to them, which is there only while they are.

    Args:
        workers: Calls that run at a time.
        method: ``"fork"`` or ``"spawn"``.
        preload: Modules that the fork server imports.
        grace: Seconds from SIGTERM to SIGKILL.
    """

    def __init__(
        self,
        workers: int,
        method: str,
        preload: Sequence[str],
        grace: float,
    ) -> None:
        self._method, self._preload, self._grace = method, preload, grace
        # Reentrant: where the executor is collected as garbage, `close` runs in the middle of anything here.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._closed = self._stopping = self._finished = False
        self._deadline: float | None = None
        self._queue: deque[Call] = deque()
        self._running: dict[int, Call] = {}
        self._free = list(range(workers))
        self.places: WeakKeyDictionary[Future[Any], Place] = WeakKeyDictionary()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringing = socket.socketpair()
        self._bell.setblocking(False)
        self._ringing.setblocking(False)
        self._selector.register(self._bell, selectors.EVENT_READ, self._wake)
        self._server: Server | None = None
        self._serving()

    def add(self, call: Call) -> None:
        """Have a call run when its turn comes.

        Raises:
            RuntimeError: After `close` or `stop`.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="LocalProcesses")
                thread.start()
                self._thread = thread
            self._queue.append(call)
            self._ring()

    def close(self, *, cancel: bool = False, stop: bool = False) -> threading.Thread | None:
        """Take no more calls; what is left ends when the last one has. Gives the thread that sees to that.

        Args:
            cancel: Whether calls that wait are cancelled.
            stop: Whether those that run are ended.
        """
        cancelled: list[Call] = []
        with self._lock:
            self._stopping |= stop
            if cancel:
                cancelled, self._queue = list(self._queue), deque()
            thread = self._thread
            if thread is not None:
                self._ring()
            else:
                self._finish()
            self._closed = True
        for call in cancelled:
            _cancel(call)
        return thread

    def hurry(self) -> None:
        """Have the grace be over of what was asked to end, or will be."""
        with self._lock:
            self._grace = 0.0
            if self._deadline is not None:
                self._deadline = min(self._deadline, time.monotonic())
            if self._thread is not None:
                self._ring()

    def pids(self) -> dict[Future[Any], int]:
        """The processes of the calls that run now."""
        with self._lock:
            return {call.future: call.place.pid for call in self._running.values() if call.place is not None}

    def place(self, future: Future[Any]) -> Place | None:
        """Where a call runs or ran."""
        with self._lock:
            return self.places.get(future)

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            self._ringing.send(b"!")

    def _wake(self, _: int) -> None:
        self._bell.recv(4096)

    def _work(self) -> None:
        while self._goes_on():
            seconds = None if self._deadline is None else max(self._deadline - time.monotonic(), 0)
            for key, events in self._selector.select(None if seconds is None else min(seconds, _A_DAY)):
                key.data(events)

    def _goes_on(self) -> bool:
        if self._stopping:
            self._end_those_that_run()
        self._start_those_that_wait()
        with self._lock:
            if self._queue or self._running:
                return True
            self._thread = None
            if self._closed:
                self._finish()
            return False

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        if self._server is not None:
            self._server.end()
        self._selector.close()
        self._bell.close()
        self._ringing.close()

    def _serving(self) -> Server:
        if self._server is None:
            self._server = Server(self._method, self._preload)
            self._selector.register(self._server.socket, selectors.EVENT_READ, self._hear)
        return self._server

    def _start_those_that_wait(self) -> None:
        while self._queue and self._free and self._is_served():
            with self._lock:
                call = self._queue.popleft() if self._queue else None
            if call is not None and (call.future.running() or call.future.set_running_or_notify_cancel()):
                self._start(call)

    def _is_served(self) -> bool:
        try:
            return self._serving().ready
        except OSError as error:
            self._fail_those_that_wait(in_one_line(error))
            return False

    def _start(self, call: Call) -> None:
        slot = heapq.heappop(self._free)
        try:
            theirs = call.open(slot)
        except Exception as error:  # no file can be opened any more, say
            heapq.heappush(self._free, slot)
            call.fail_to_start(in_one_line(error))
            return
        with self._lock:
            self._running[call.number] = call
        self._selector.register(
            call.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, partial(self._move, call)
        )
        with suppress(OSError):  # where the server is gone, that is heard next
            self._serving().start(call.number, call.name, theirs)

    def _move(self, call: Call, events: int) -> None:
        if call.number not in self._running:
            return  # it has ended in the same round
        more = call.write() if events & selectors.EVENT_WRITE else None
        goes_on = call.read() if events & selectors.EVENT_READ else True
        if not goes_on:
            self._selector.unregister(call.socket)
        elif more is False:
            self._selector.modify(call.socket, selectors.EVENT_READ, partial(self._move, call))

    def _hear(self, _: int) -> None:
        assert self._server is not None
        try:
            for what, number, value in self._server.messages():
                call = self._running.get(number)
                if call is not None:
                    self._hear_of(call, what, value)
        except EOFError:
            self._lose_server()

    def _hear_of(self, call: Call, what: str, value: Any) -> None:
        if what == STARTED:
            call.started(value)
            with self._lock:
                self.places[call.future] = Place(value, call.slot, call.device)
        elif what == FAILED:
            self._let_go(call)
            call.fail_to_start(value)
        elif what == ENDED:
            self._let_go(call)
            self._start_those_that_wait()  # before the future's callbacks, which may take their time
            call.settle(value)

    def _let_go(self, call: Call) -> None:
        """Free what a call has, whose process is gone or is to end with this."""
        call.read()  # a process of its own may hold its end open: there need not be an end of what comes
        if call.socket in self._selector.get_map():
            self._selector.unregister(call.socket)
        call.socket.close()
        heapq.heappush(self._free, call.slot)
        with self._lock:
            del self._running[call.number]

    def _lose_server(self) -> None:
        """The fork server was killed: processes that run cannot be waited for, and end as they are let go."""
        assert self._server is not None
        lost, self._server = self._server, None
        self._selector.unregister(lost.socket)
        lost.end()
        for call in list(self._running.values()):
            self._let_go(call)
            # It may run before the server has said so; then it has said so itself, and that has been read.
            if call.place is not None or call.begun or call.retried or self._stopping:
                call.settle(None)
            else:
                call.retried = True
                with self._lock:
                    self._queue.appendleft(call)
        if not lost.ready:
            self._fail_those_that_wait(_GONE.format(modules=", ".join(self._preload) or "nothing"))

    def _fail_those_that_wait(self, why: str) -> None:
        with self._lock:
            failed, self._queue = self._queue, deque()
        for call in failed:
            if call.future.running() or call.future.set_running_or_notify_cancel():
                call.fail_to_start(why)

    def _end_those_that_run(self) -> None:
        """Ask them to end, and after the grace end them; each of it once."""
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._grace
            for call in self._running.values():
                call.read()
                self._signal(call, signal.SIGTERM if call.begun else signal.SIGKILL)
        elif now >= self._deadline:
            self._deadline = math.inf
            for call in self._running.values():
                self._signal(call, signal.SIGKILL)

    def _signal(self, call: Call, number: signal.Signals) -> None:
        assert self._server is not None
        with suppress(OSError):  # where the server is gone, that is heard next
            self._server.signal(call.number, number)


def _cancel(call: Call) -> None:
    if call.future.cancel():
        call.future.set_running_or_notify_cancel()
    else:  # it waits for another fork server, since the first one was killed before it could begin
        call.settle(None)
