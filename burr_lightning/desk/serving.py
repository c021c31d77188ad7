"""Serves the page until somebody stops it."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from ..errors import ListenError
from .addresses import is_loopback, names_of
from .app import create_app
from .token import SHORTEST

TOKEN_VARIABLE = "BURR_LIGHTNING_TOKEN"
_MOST_MESSAGES = 1000
_LOG_FORMAT = "%(levelname)s: %(message)s"


def serve(
    host: str,
    port: int,
    token: str | None,
    *,
    root_dir: Path | None,
    project: str | None,
    persister: str | None,
    say: Callable[[str], object],
) -> None:
    """Serve the page until SIGINT or SIGTERM.

    Args:
        host: The address to listen on.
        port: The port, 0 for any that is free.
        token: What opens the page; needed where others can reach it.
        root_dir: Where runs are kept, as in `BurrCallback`.
        project: The only project that is shown.
        persister: The URL of the runs' rows, where it takes a password.
        say: Is called with a line for the user.

    Raises:
        ListenError: If it must not listen there without a token, or cannot.
    """
    check(host, port, token)
    _log_once()
    app = create_app(root_dir, project=project, persister=persister, token=token, hosts=names_of(host))
    with _listening(host, port) as listener:
        # Without a log of requests: their addresses may hold the token.
        config = uvicorn.Config(
            app, access_log=False, log_config=None, timeout_graceful_shutdown=3, ws="none"
        )
        with _ended_by_signals(uvicorn.Server(config)) as server:
            asks = " (it asks for the token)" if token else ""
            say(f"The review desk is at {_address(host, listener)}{asks}")
            say("Ctrl-C stops it.")
            server.run(sockets=[listener])


class _Once(logging.Filter):
    """Lets each message through once: pages that are open ask again and again."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is a new one; after a thousand of them none is."""
        message = record.getMessage()
        new = message not in self._said and len(self._said) < _MOST_MESSAGES
        self._said |= {message} if new else set()
        return new


def _log_once() -> None:
    handler = logging.StreamHandler()
    handler.addFilter(_Once())
    logging.basicConfig(level=logging.WARNING, format=_LOG_FORMAT, handlers=[handler])


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[uvicorn.Server]:
    """Ends the server at SIGINT and SIGTERM, before it listens for them itself as well, and without an error.

    At its end it raises again what ended it.
    """

    def end(*_: object) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield server
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check(host: str, port: int, token: str | None) -> None:
    """Whether the page may be opened to those who can reach an address.

    Raises:
        ListenError: If there is no token where it takes one, or one that is too short.
    """
    if token is None and not is_loopback(host):
        how = "give one with --token, or in BURR_LIGHTNING_TOKEN of the environment"
        make = 'python -c "import secrets; print(secrets.token_urlsafe())"'
        raise ListenError(
            host, port, f"others can reach it there, so it takes a token: {how}. This makes one: {make}"
        )
    if token is not None and len(token) < SHORTEST:
        raise ListenError(host, port, f"the token has {len(token)} characters; it takes {SHORTEST} or more")


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=100)
    except OSError as error:
        why = f"{error.strerror or error}. Choose another port with --port, or 0 for any that is free"
        raise ListenError(host, port, why) from error


def _address(host: str, listener: socket.socket) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    bracketed = f"[{shown}]" if ":" in shown else shown
    return f"http://{bracketed}:{listener.getsockname()[1]}/"
