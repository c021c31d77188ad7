"""One call on a Ray cluster: what its future is told, and when."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import ray
from ray import exceptions as of_ray

from ..errors import ProcessLostError, ProcessNotStartedError
from .ray_worker import Raised, RayPlace, Returned

_LOST: dict[type[Exception], str] = {
    of_ray.NodeDiedError: "the node is gone",
    of_ray.LocalRayletDiedError: "the Ray of this machine is gone",
    of_ray.WorkerCrashedError: "the process of Ray's that saw to it there has died",
    of_ray.OutOfMemoryError: "Ray ended it, because memory ran out there",
    of_ray.ObjectLostError: "what it had returned was lost with the node",
    of_ray.TaskCancelledError: "it was stopped",
}
"""What Ray raises where a process is gone, and why it is."""


class RayCall:
    """A call from when it is submitted.

    Args:
        function: What is called.
        begin: Has Ray begin with it; gives the items that it tells.
    """

    def __init__(self, function: str, begin: Callable[[], Any]) -> None:
        self.name = f"{function}()"
        self.future: Future[Any] = Future()
        self.place: RayPlace | None = None
        self._items = begin()
        self.future.add_done_callback(self._forget)

    def end(self, *, force: bool = False) -> None:
        """Have it end, where it has not.

        Args:
            force: Whether the worker ends at once, and the call's process with it; else that is asked by
                SIGTERM.
        """
        if not self.future.cancel():
            ray.cancel(self._items, force=force)

    async def follow(self, begun: Callable[[RayCall], None]) -> None:
        """Tell the future what becomes of the call, when that is known.

        Args:
            begun: Is told when it has begun.
        """
        told: Returned | Raised | None = None
        try:
            async for item in self._items:
                got = await item
                if isinstance(got, RayPlace):
                    self.place = got
                    begun(self)
                    if not self.future.set_running_or_notify_cancel():
                        return
                else:
                    told = got
        except Exception as error:
            told = told or Raised(self._in_words(error), error)
        self._settle(told)

    def _settle(self, told: Returned | Raised | None) -> None:
        if not self.future.running() and not self.future.set_running_or_notify_cancel():
            return
        if isinstance(told, Returned):
            self.future.set_result(told.value)
            return
        assert told is not None
        told.error.__cause__ = told.cause
        self.future.set_exception(told.error)

    def _in_words(self, error: Exception) -> Exception:
        raised = error.cause if isinstance(error, of_ray.RayTaskError) else error
        why = next((why for kind, why in _LOST.items() if isinstance(raised, kind)), None)
        if why is not None:
            node, pid = (None, None) if self.place is None else (self.place.node, self.place.pid)
            return ProcessLostError(self.name, why, node, pid)
        if self.place is None:
            return ProcessNotStartedError(self.name, f"its node could not begin with it.\n{error}")
        return error

    def _forget(self, future: Future[Any]) -> None:
        if future.cancelled():
            ray.cancel(self._items, force=True)
