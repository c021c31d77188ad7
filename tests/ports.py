"""Ports for the processes of a test, which nobody else is given until they listen."""

import socket
from collections import deque

_MOST = 64
_held: deque[socket.socket] = deque()
"""The system gives a port to whoever asks for any, or connects, as soon as nothing holds it."""


def free_port() -> int:
    """A port that is held, so that only who asks for this one can listen on it."""
    holds = socket.socket()
    holds.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holds.bind(("", 0))
    _held.append(holds)
    if len(_held) > _MOST:
        _held.popleft().close()  # that of a test which has long ended
    return int(holds.getsockname()[1])
