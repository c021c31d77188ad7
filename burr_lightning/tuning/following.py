"""The thread that hears what becomes of calls elsewhere, which is there only while there are calls."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from .ray_call import RayCall


class Following:
    """Calls that are under way.

    Args:
        begun: Is told of each that begins.
    """

    def __init__(self, begun: Callable[[RayCall], None]) -> None:
        self._begun = begun
        self._lock = threading.RLock()  # a future's callback, which runs in here, may submit another call
        self._calls: set[RayCall] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, make: Callable[[], RayCall]) -> RayCall:
        """Begin with a call, and follow it.

        Args:
            make: Begins with it.

        Raises:
            RuntimeError: After `close`.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            call = make()
            self._calls.add(call)
            self._running_loop().call_soon_threadsafe(self._follow, call)
        return call

    def close(self) -> list[RayCall]:
        """Take no more calls.

        Returns:
            Those that are under way.
        """
        with self._lock:
            self._closed = True
            return list(self._calls)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Have something done by and by, where calls are under way still."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.call_later, seconds, what)

    def join(self) -> None:
        """Wait until none is under way, except where a future's callback waits."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._work, args=[self._loop], name="RayProcesses")
            self._thread.start()
        return self._loop

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.close()

    def _follow(self, call: RayCall) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(call.follow(self._begun))
        task.add_done_callback(lambda done: self._done(call, loop))

    def _done(self, call: RayCall, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._calls.discard(call)
            if not self._calls:
                self._loop = None
                loop.stop()
