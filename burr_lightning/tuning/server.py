"""The study's side of the fork server."""

from __future__ import annotations

import logging
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import spawn
from typing import Any

from .fork_server import READY, SIGNAL, START
from .frames import CHUNK, Frames, framed

log = logging.getLogger(__name__)

_PROGRAM = """\
import signal, sys
for each in (signal.SIGINT, signal.SIGHUP):  # at once: Ctrl-C, and a closed terminal, are the study's
    signal.signal(each, signal.SIG_IGN)
sys.path[:] = {path!r}
from {package}.fork_server import serve
serve({descriptor}, {method!r}, {preload!r})
"""


class Server:
    """A fork server of one's own, which starts here, and imports while others go on.

    Args:
        method: How it starts processes, ``"fork"`` or ``"spawn"``.
        preload: Modules that it imports before.
    """

    def __init__(self, method: str, preload: Sequence[str]) -> None:
        self.socket, theirs = socket.socketpair()
        path = [each or os.getcwd() for each in sys.path]
        program = _PROGRAM.format(
            path=path, package=__package__, descriptor=theirs.fileno(), method=method, preload=list(preload)
        )
        # So that torch.cuda.is_available() in a module that it imports asks the driver, and starts no CUDA.
        environment = {**os.environ, "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
        with theirs:
            self._process = subprocess.Popen(
                [os.fsdecode(spawn.get_executable()), "-c", program],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self._frames = Frames()
        self.ready = False
        """Whether it has imported what it is to."""

    def start(self, number: int, name: str, end: socket.socket) -> None:
        """Have a process started. `messages` will tell its number.

        Args:
            number: The call's number.
            name: The process's name.
            end: The process's end of the socket to it.
        """
        with end:
            socket.send_fds(self.socket, [framed(pickle.dumps((START, number, name)))], [end.fileno()])

    def signal(self, number: int, signum: int) -> None:
        """Send a signal to a call's process."""
        self.socket.sendall(framed(pickle.dumps((SIGNAL, number, signum))))

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """What the server has said since.

        Raises:
            EOFError: If the server is gone.
        """
        try:
            data = self.socket.recv(CHUNK)
        except ConnectionResetError:
            data = b""
        if not data:
            raise EOFError
        for message in self._frames.feed(data):
            said = pickle.loads(message)
            if said[0] == READY:
                self._begin(said[2])
            yield said

    def _begin(self, not_imported: list[str]) -> None:
        self.ready = True
        if not_imported:
            log.warning(
                "The fork server could not import %s. Calls run nevertheless: each imports on its own what "
                "it needs, which may take seconds.",
                ", ".join(not_imported),
            )

    def end(self) -> None:
        """End the server; it must have no processes any more, or those end as well."""
        self.socket.close()
        self._process.kill()
        self._process.wait()
