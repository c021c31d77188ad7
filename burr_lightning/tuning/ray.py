"""Running calls in processes of a Ray cluster, each call in a fresh one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from ..errors import ArgumentError, MissingExtraError

try:
    import ray
except ModuleNotFoundError:
    raise MissingExtraError("burr_lightning.tuning.ray", "ray", "ray") from None

from ..pickling import packed
from . import ray_cluster
from .following import Following
from .local import PRELOAD
from .ray_call import RayCall
from .ray_worker import RayPlace, run

__all__ = ["RayProcesses"]

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_OURS = ("max_calls", "max_retries", "num_returns", "retry_exceptions")
_UNREACHED = 30.0
"""Seconds beyond the grace until the worker of a call is ended that should have ended it."""


class RayProcesses(Executor):
    """An executor that runs each call in a fresh process of a Ray cluster.

    What a call leaves behind (a CUDA context, globals, memory) is gone with its process. Where that dies, its
    future gets a `ProcessDiedError`, and a `ProcessLostError` where its node is gone; Ray does not begin a
    call again on its own. Calls wait, in Ray's queue, until a node has what each of them asks for.

    A function that the user's script defines is sent to the nodes, by Ray's cloudpickle; modules that it
    imports must be there, as must this library. A call sees the environment of its node's Ray.

    Args:
        address: The cluster, ``"host:port"``, where this process is not connected to one by ``ray.init``
            already; ``"auto"`` for the one that ``RAY_ADDRESS`` names, or of which this machine is a node.
            No Ray is started.
        num_cpus: CPUs of one call. Ray counts them, and sets ``OMP_NUM_THREADS``.
        num_gpus: GPUs of one call, also a part of one; it sees those that Ray gives it.
        memory: Memory of one call, in bytes, which Ray counts; ``None`` for not counted.
        resources: Amounts of others that nodes were started with.
        preload: Modules that each node's fork server imports, as in `LocalProcesses`.
        start: ``"forkserver"`` or ``"spawn"``, as in `LocalProcesses`.
        grace: Seconds that `stop` leaves between SIGTERM and SIGKILL.
        options: Others of ``ray.remote``'s, as ``runtime_env`` or ``scheduling_strategy``.

    Raises:
        ArgumentError: If an argument is none of those, or there is no cluster.

    Example:
        >>> from burr_lightning.tuning.ray import RayProcesses
        >>> with RayProcesses(num_cpus=1, num_gpus=0.5) as pool:  # doctest: +SKIP
        ...     [future.result() for future in [pool.submit(pow, 2, each) for each in range(3)]]
        [1, 2, 4]
    """

    def __init__(
        self,
        address: str = "auto",
        *,
        num_cpus: float = 1,
        num_gpus: float = 0,
        memory: float | None = None,
        resources: Mapping[str, float] | None = None,
        preload: Sequence[str] = PRELOAD,
        start: Literal["forkserver", "spawn"] = "forkserver",
        grace: float = 30.0,
        **options: Any,
    ) -> None:
        if start not in ("forkserver", "spawn"):
            raise ArgumentError(f"RayProcesses(start={start!r}): it takes 'forkserver' or 'spawn'.")
        if not grace >= 0:
            raise ArgumentError(f"RayProcesses(grace={grace!r}): it takes seconds, 0 or more.")
        self._grace = grace
        self._wanted = {"CPU": num_cpus, "GPU": num_gpus, "memory": memory or 0, **(resources or {})}
        given = {"num_cpus": num_cpus, "num_gpus": num_gpus, "memory": memory, "resources": resources}
        self._task = _task({key: value for key, value in {**given, **options}.items() if value is not None})
        self._options = {"preload": [*preload, "ray.cloudpickle"], "start": start, "grace": grace}
        self._places: WeakKeyDictionary[Future[Any], RayPlace] = WeakKeyDictionary()
        self._following = Following(self._begun)
        self._warned = False
        ray_cluster.connect(address)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a function called in a process of the cluster.

        Args:
            fn: The function.
            args: Its arguments.
            kwargs: Its arguments by name.

        Returns:
            What it will return; see `LocalProcesses.submit` for what it raises. A `ProcessLostError` says
            that the node or Ray's process there is gone. One that waits can be cancelled.

        Raises:
            NotPickledError: If the call cannot be sent to another process.
            RuntimeError: After `stop` or `shutdown`.
        """
        name = getattr(fn, "__qualname__", repr(fn))
        call = packed(partial(fn, *args, **kwargs), f"{name}()", elsewhere=True)
        self._warn_of_what_no_node_has()
        begin = partial(self._task.options(name=name).remote, name, call, self._options)
        return self._following.add(lambda: RayCall(name, begin)).future

    def stop(self) -> None:
        """End everything: SIGTERM to what runs, so that it commits, and SIGKILL after the grace.

        Calls that wait are cancelled, and no more are taken; one that has begun a moment ago, as this process
        has not heard yet, is killed. Returns when all have ended, except where a future's callback calls it.
        """
        calls = self._following.close()
        for call in calls:
            call.end()
        self._following.later(self._grace + _UNREACHED, partial(_force, calls))
        self._following.join()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls. This process stays connected to Ray.

        Args:
            wait: Whether to return only when all calls have ended.
            cancel_futures: Whether calls that have not started are cancelled.
        """
        calls = self._following.close()
        if cancel_futures:
            for call in calls:
                call.future.cancel()
        if wait:
            self._following.join()

    def place(self, future: Future[Any]) -> RayPlace | None:
        """Where a call runs or ran: node, processes and GPUs; ``None`` where it has not started.

        Args:
            future: What `submit` gave.
        """
        return self._places.get(future)

    def _begun(self, call: RayCall) -> None:
        assert call.place is not None
        self._places[call.future] = call.place

    def _warn_of_what_no_node_has(self) -> None:
        why = ray_cluster.why_it_waits(self._wanted)
        if why is not None and not self._warned:
            log.warning("RayProcesses(...): %s", why)
        self._warned = why is not None


def _force(calls: Sequence[RayCall]) -> None:
    for call in calls:
        call.end(force=True)


def _task(options: Mapping[str, Any]) -> Any:
    taken = sorted(options.keys() & set(_OURS))
    if taken:
        raise ArgumentError(
            f"RayProcesses({taken[0]}={options[taken[0]]!r}): each call is begun once, in a process of its "
            f"own; the study begins a trial again. Leave it out."
        )
    try:
        return ray.remote(num_returns="streaming", max_retries=0, **options)(run)
    except (ValueError, TypeError) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise ArgumentError(f"RayProcesses({given}): Ray does not take that: {error}") from error
