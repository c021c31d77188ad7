"""Serves the page until somebody stops it."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from ..errors import ListenError
from .addresses import is_loopback, names_of
from .app import create_app

_MOST_MESSAGES = 1000
_LOG_FORMAT = "%(levelname)s: %(message)s"


def serve(
    host: str,
    port: int,
    token: str | None,
    names: Collection[str] = (),
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
        names: The names by which a proxy that stands before it is called.
        root_dir: Where runs are kept, as in `BurrCallback`.
        project: The only project that is shown.
        persister: The URL of the runs' rows, where it takes a password.
        say: Is called with a line for the user.

    Raises:
        ListenError: If it must not listen there without a token, or cannot.
        DeskOptionError: If the token is none that holds, or a name is none.
    """
    check(host, port, token, names)
    _log_once()
    hosts = [*names_of(host), *names]
    app = create_app(root_dir, project=project, persister=persister, token=token, hosts=hosts)
    with _listening(host, port) as listener:
        # Without a log of requests: their addresses may hold the token.
        config = uvicorn.Config(
            app,
            access_log=False,
            log_config=None,
            proxy_headers=False,
            timeout_graceful_shutdown=3,
            ws="none",
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
        self._said: set[tuple[str, ...]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is a new one; after a thousand of them none is, which is said once."""
        said = (record.getMessage(), *_raised(record))
        if said in self._said or len(self._said) > _MOST_MESSAGES:
            return False
        self._said.add(said)
        if len(self._said) > _MOST_MESSAGES:
            record.msg, record.args = f"%s (after {_MOST_MESSAGES} messages, no other is written)", (said[0],)
        return True


def _raised(record: logging.LogRecord) -> tuple[str, ...]:
    """What tells an exception from others that the same message comes with: its kind, its text, its place."""
    kind, error, at = record.exc_info or (None, None, None)
    if kind is None:
        return ()
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at is not None else ""
    return kind.__qualname__, str(error), place


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


def check(host: str, port: int, token: str | None, names: Collection[str] = ()) -> None:
    """Whether the page may be opened to those who can reach an address, or a proxy that stands before it.

    Raises:
        ListenError: If there is no token where it takes one.
    """
    if token is None and (names or not is_loopback(host)):
        how = "give one with --token, or in BURR_LIGHTNING_TOKEN of the environment"
        make = 'python -c "import secrets; print(secrets.token_urlsafe())"'
        raise ListenError(
            host, port, f"others can reach it there, so it takes a token: {how}. This makes one: {make}"
        )


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=100)
    except OSError as error:
        raise ListenError(host, port, f"{error.strerror or error}. {_advice(error)}") from error


def _advice(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "--host takes an address or a name of this machine: 127.0.0.1, or 0.0.0.0 for all of them"
    return "Choose another port with --port, or 0 for any that is free"


def _address(host: str, listener: socket.socket) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    bracketed = f"[{shown}]" if ":" in shown else shown
    return f"http://{bracketed}:{listener.getsockname()[1]}/"
