"""Running calls in processes of this machine, each call in a fresh one."""

from __future__ import annotations

import resource
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Literal, ParamSpec, TypeVar

from ..errors import ArgumentError, NestedStudyError
from . import child
from .calls import Call, Place
from .devices import threads_each
from .watch import Watch

P = ParamSpec("P")
T = TypeVar("T")

PRELOAD = (f"{__package__}.preloaded",)
"""What the fork server imports: Lightning, torchmetrics and this library."""

_METHODS = {"forkserver": "fork", "spawn": "spawn"}
_SPARE = 200
"""Files that a study may have open beside the one of each running call."""


class LocalProcesses(Executor):
    """An executor that runs each call in a fresh process of this machine.

    What a call leaves behind (a CUDA context, globals, memory) is gone with its process, and one that dies
    takes no other with it: its future gets a `ProcessDiedError`. A call starts as soon as a slot is free. It
    sees the environment, the working folder and ``sys.path`` as they were when it was submitted; only what a
    library reads when it is loaded (``OMP_NUM_THREADS``) is as it was when the executor was made. A future is
    done when its process is gone. Neither Ctrl-C nor a terminal that is closed reaches the processes, and if
    this process dies, they end.

    Where several run at a time, the cores are shared out: each computes with as many threads as it has cores,
    unless ``OMP_NUM_THREADS`` says how many.

    A script that makes one needs ``if __name__ == "__main__":``, since every process imports it again.

    Args:
        workers: Slots: how many calls run at a time.
        start: ``"forkserver"`` forks each process from one that has imported what is needed, which takes
            milliseconds; ``"spawn"`` starts Python anew, which takes seconds with torch, and is for what does
            not bear to be forked (on macOS, GPUs).
        preload: Modules that the fork server imports, and no others: by default Lightning and what a trial
            needs. They must not touch a GPU, and start no threads.
        grace: Seconds that `stop` leaves between SIGTERM and SIGKILL.
        devices: What a slot's calls see as ``CUDA_VISIBLE_DEVICES``, in turn (``"0"``, ``"2,3"``, a name);
            ``None`` for one GPU each of those that there are, or that ``CUDA_VISIBLE_DEVICES`` names here. An
            empty one leaves the variable as it is.

    Raises:
        ArgumentError: If an argument is none of those.
        NestedStudyError: In a process of a call, when it imports a script without a guard.

    Example:
        >>> from burr_lightning.tuning.local import LocalProcesses
        >>> with LocalProcesses(workers=2, start="spawn") as pool:  # doctest: +SKIP
        ...     [future.result() for future in [pool.submit(pow, 2, each) for each in range(3)]]
        [1, 2, 4]
    """

    def __init__(
        self,
        workers: int = 1,
        *,
        start: Literal["forkserver", "spawn"] = "forkserver",
        preload: Sequence[str] = PRELOAD,
        grace: float = 30.0,
        devices: Sequence[str] | None = None,
    ) -> None:
        if child.importing:
            raise NestedStudyError(f"LocalProcesses(workers={workers})")
        _check(workers, start, grace)
        preload = list(preload) if start == "forkserver" else []
        self._watch = Watch(workers, _METHODS[start], preload, grace)
        self._max_workers = workers  # as the pools of concurrent.futures call it
        self._devices, self._threads = devices, threads_each(workers)
        self._finalizer = weakref.finalize(self, self._watch.close)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a function called in a process of its own.

        Args:
            fn: The function; one of a notebook, and a lambda, needs cloudpickle.
            args: Its arguments.
            kwargs: Its arguments by name.

        Returns:
            What it will return. An exception that it raises has its traceback as the cause; a `RemoteError`
            stands for one that cannot be sent, a `ProcessDiedError` says that the process ended before.

        Raises:
            NotPickledError: If the call cannot be sent to another process.
            RuntimeError: After `stop` or `shutdown`.
        """
        call = Call(fn, args, kwargs, self._devices, self._threads)
        self._watch.add(call)
        return call.future

    def stop(self) -> None:
        """End everything: SIGTERM to what runs, so that it commits, and SIGKILL after the grace.

        Calls that wait are cancelled, those whose process has not begun them yet are killed at once, and no
        more are taken. Returns when all processes are gone, except where a future's callback calls it.
        """
        self._join(self._watch.close(cancel=True, stop=True))

    def kill(self) -> None:
        """End everything at once, also what `stop` has asked to commit and to end; waits for nothing."""
        self._watch.hurry()
        self._watch.close(cancel=True, stop=True)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls.

        Args:
            wait: Whether to return only when all calls have ended.
            cancel_futures: Whether calls that have not started are cancelled.
        """
        thread = self._watch.close(cancel=cancel_futures)
        if wait:
            self._join(thread)

    def _join(self, thread: threading.Thread | None) -> None:
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    @property
    def pids(self) -> dict[Future[Any], int]:
        """The process of each call that runs now."""
        return self._watch.pids()

    def place(self, future: Future[Any]) -> Place | None:
        """Where a call runs or ran: process, slot and GPU; ``None`` where it has not started.

        Args:
            future: What `submit` gave.
        """
        return self._watch.place(future)


def _check(workers: int, start: str, grace: float) -> None:
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ArgumentError(f"LocalProcesses(workers={workers!r}): it takes a whole number of 1 or more.")
    if start not in _METHODS:
        raise ArgumentError(f"LocalProcesses(start={start!r}): it takes 'forkserver' or 'spawn'.")
    if not grace >= 0:
        raise ArgumentError(f"LocalProcesses(grace={grace!r}): it takes seconds, 0 or more.")
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and workers + _SPARE > allowed:
        raise ArgumentError(
            f"LocalProcesses(workers={workers}): each takes an open file, and {allowed} are allowed here. "
            f"Allow more with 'ulimit -n {2 * (workers + _SPARE)}'."
        )
