"""What runs on a node of a Ray cluster: a task that has one call run in a fresh process beside it."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any

import ray

from ..errors import ProcessDiedError
from .local import LocalProcesses

_GLANCE = 0.1
"""Seconds between two looks whether Ray has cancelled the task, which wakes nobody who waits."""


@dataclass(frozen=True)
class RayPlace:
    """Where a call runs, or ran."""

    node: str
    """The address of its machine."""
    node_id: str
    """What Ray calls that."""
    worker: int
    """The process of Ray's that sees to it; no two calls are with one at a time."""
    pid: int
    """Its own process."""
    devices: str | None
    """What it sees as ``CUDA_VISIBLE_DEVICES``, ``None`` where Ray left that as it was."""

    def __str__(self) -> str:
        gpus = f" (GPU {self.devices})" if self.devices else ""
        return f"worker {self.worker} on {self.node}{gpus}"


@dataclass(frozen=True)
class Returned:
    """What a call returned."""

    value: Any


@dataclass(frozen=True)
class Raised:
    """What a call raised, or why it did not end."""

    error: BaseException
    cause: BaseException | None
    """Shows where that was raised; pickle leaves it out of the exception."""


def run(function: str, call: bytes, options: Mapping[str, Any]) -> Iterator[RayPlace | Returned | Raised]:
    """Have a call run in a fresh process.

    That is no process of Ray's: it is forked from one that has imported what it needs, and that stays for the
    next call. What a call leaves behind (a CUDA context, globals, memory) is gone with its process.

    Args:
        function: What is called.
        call: The call, pickled: something that takes no arguments.
        options: Those of `LocalProcesses`.

    Yields:
        Where it runs, as soon as it does, and what became of it.
    """
    try:
        pool = _pool(options)
        future = pool.submit(_Packed(function, call))
        place = _place(pool, future)
        if place is not None:
            yield place
        yield _end(future, function)
    except BaseException:  # Ray cancels a task by a KeyboardInterrupt
        _stop()
        raise


class _Packed:
    """A call that is unpacked only in its own process, which imports what it needs.

    Args:
        function: What is called.
        call: The call, pickled.
    """

    def __init__(self, function: str, call: bytes) -> None:
        self.__qualname__, self._call = function, call

    def __call__(self) -> Any:
        raise NotImplementedError("unpickled, it is the call")

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self._call,)


def _place(pool: LocalProcesses, future: Future[Any]) -> RayPlace | None:
    while not future.done():
        place = pool.place(future)
        if place is not None:
            return RayPlace(
                node=_node(),
                node_id=ray.get_runtime_context().get_node_id(),
                worker=os.getpid(),
                pid=place.pid,
                devices=os.environ.get("CUDA_VISIBLE_DEVICES"),
            )
        time.sleep(_GLANCE / 20)
    return None


def _end(future: Future[Any], function: str) -> Returned | Raised:
    while not wait([future], _GLANCE).done:
        pass
    error = future.exception()
    if isinstance(error, ProcessDiedError):  # it knows of no node
        return Raised(ProcessDiedError(error.exitcode, error.pid, None, f"{function}() on {_node()}"), None)
    return Returned(future.result()) if error is None else Raised(error, error.__cause__)


def _node() -> str:
    return str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


_made: tuple[Any, LocalProcesses] | None = None
"""What has the processes of this worker, and what it was made with."""


def _pool(options: Mapping[str, Any]) -> LocalProcesses:
    global _made
    wanted = (dict(options), os.environ.get("OMP_NUM_THREADS"))  # which Ray sets for each task
    if _made is None or _made[0] != wanted:
        if _made is not None:
            _made[1].shutdown()
        _made = wanted, LocalProcesses(devices=(), **options)  # Ray has shared out the GPUs
    return _made[1]


def _stop() -> None:
    global _made
    if _made is not None:
        pool, _made = _made[1], None
        pool.stop()
