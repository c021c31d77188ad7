"""Which addresses the page may listen on, and which names a request may call it by."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .refusing import refused

_HOST = re.compile(r"(\[(?P<bracketed>[^\[\]]*:[^\[\]]*)\]|(?P<plain>[^:\[\]]*))(:[0-9]*)?")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine, with all of its users, reaches an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    if host == "localhost":
        return True
    address = _number(host)
    return address is not None and address.is_loopback


class HostCheck:
    """Answers only requests that call the server by one of its names.

    A page of somebody else's whose name leads to this machine (DNS rebinding) sends its own name, and is
    refused. Where others may reach the server, an address in numbers is its name as well: a browser that
    sends one has not been led here by a name.

    Args:
        app: What is behind it.
        names: The names, without a port.
        numbers: Whether every address in numbers counts as one.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str], *, numbers: bool) -> None:
        self._app, self._numbers = app, numbers
        self._names = {name.strip("[]").lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "lifespan" or self._allows(Headers(scope=scope).get("host", "")):
            await self._app(scope, receive, send)
        else:
            why = "This page does not answer to the name in the address bar."
            await refused(400, why)(scope, receive, send)

    def _allows(self, header: str) -> bool:
        host = host_of(header)
        return host in self._names or (self._numbers and _number(host) is not None)


def host_of(header: str) -> str:
    """The host of a Host header, without its port; empty where it is none.

    Example:
        >>> host_of("Localhost:7242"), host_of("[::1]:7242"), host_of("[::1]"), host_of("evil.org:80")
        ('localhost', '::1', '::1', 'evil.org')
    """
    found = _HOST.fullmatch(header)
    return (found["bracketed"] or found["plain"] or "").lower() if found else ""


def names_of(host: str) -> set[str]:
    """The names that a server on an address is called by."""
    if is_loopback(host):
        return {*LOOPBACK_NAMES, host}
    return {*LOOPBACK_NAMES, host, socket.gethostname(), socket.getfqdn()}


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
