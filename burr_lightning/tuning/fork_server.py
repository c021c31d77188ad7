"""The process that those of the calls are forked from: it has imported what they need, and does nothing else.

It is ours alone: `multiprocessing` has one fork server for everything in a process, tells nobody what that
could not import, and has it look for modules without the study's ``sys.path``.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import socket
import sys
from collections import deque
from collections.abc import Sequence
from importlib import import_module
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from ..pickling import in_one_line
from .child import run
from .frames import CHUNK, Frames, framed

START, SIGNAL = "start", "signal"
READY, STARTED, FAILED, ENDED = "ready", "started", "failed", "ended"
_FDS = 64
_PR_SET_PDEATHSIG = 1

_server: _Server | None = None


def serve(descriptor: int, method: str, preload: Sequence[str]) -> None:
    """Start processes until the study closes its end.

    Args:
        descriptor: This process's end of the socket to the study.
        method: ``"fork"``, or ``"spawn"`` for processes that share nothing with this one.
        preload: Modules to import first.
    """
    global _server
    # A terminal, or a scheduler, sends these to every process that there is: the study decides who ends.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    _server = _Server(control, multiprocessing.get_context(method))
    _server.run(_not_imported(preload))


def _not_imported(preload: Sequence[str]) -> list[str]:
    return [f"{name} ({why})" for name in preload if (why := _import(name))]


def _import(name: str) -> str | None:
    try:
        import_module(name)
    except Exception as error:  # each call will meet it again where it needs the module
        return in_one_line(error)
    return None


class _Server:
    def __init__(self, control: socket.socket, context: BaseContext) -> None:
        self._control, self._context = control, context
        self._frames, self._ends = Frames(), deque[int]()
        self._processes: dict[int, BaseProcess] = {}
        self._bell, self._ringing = socket.socketpair()
        for each in (self._bell, self._ringing):
            each.setblocking(False)

    def run(self, not_imported: list[str]) -> None:
        # Not the processes' sentinels: those stay open for as long as a process that a dead one has forked.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ringing.fileno(), warn_on_full_buffer=False)
        try:
            self._say(READY, 0, not_imported)
            while True:
                ready = wait([self._control, self._bell])
                if self._bell in ready:
                    self._bell.recv(CHUNK)
                    self._reap()
                if self._control in ready:
                    self._obey()
        except OSError:
            self._end_all()  # the study has closed its end
            os._exit(0)

    def _end_all(self) -> None:
        """End the processes, which see by themselves that the study is gone; not one that is in C code."""
        for number in self._processes:
            self._signal(number, signal.SIGKILL)

    def _obey(self) -> None:
        data, ends, _, _ = socket.recv_fds(self._control, CHUNK, _FDS)
        if not data:
            raise ConnectionResetError
        self._ends += ends
        for message in self._frames.feed(data):
            what, number, value = pickle.loads(message)
            if what == START:
                self._start(number, value, socket.socket(fileno=self._ends.popleft()))
            else:
                self._signal(number, value)

    def _signal(self, number: int, signum: int) -> None:
        process = self._processes.get(number)
        # Only its parent can be sure that it has not ended, and that its number is not another one's by now.
        if process is not None and process.exitcode is None and process.pid is not None:
            os.kill(process.pid, signum)

    def _start(self, number: int, name: str, end: socket.socket) -> None:
        with end:
            end.set_inheritable(False)
            process = self._context.Process(target=_begin, args=(end, os.getpid()), name=name)  # type: ignore[attr-defined]
            try:
                process.start()
            except OSError as error:
                self._say(FAILED, number, in_one_line(error))
                return
        self._processes[number] = process
        self._say(STARTED, number, process.pid)

    def _reap(self) -> None:
        for number, process in list(self._processes.items()):
            if process.exitcode is not None:
                del self._processes[number]
                self._say(ENDED, number, process.exitcode)
                process.close()

    def _say(self, *message: Any) -> None:
        self._control.sendall(framed(pickle.dumps(message)))

    def forget(self) -> None:
        """In a process that was forked: let go of what is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._control, self._bell, self._ringing):
            each.close()


def _begin(end: socket.socket, parent: int) -> None:
    _die_with(parent)
    if _server is not None:
        _server.forget()
    run(end)


def _die_with(parent: int) -> None:
    """Have the system end this process when the fork server is killed, also where it is in C code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # that was before
            os._exit(1)
