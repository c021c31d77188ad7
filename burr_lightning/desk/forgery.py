"""Requests that change something come from our own pages: another site cannot send them for a user."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from .refusing import refused

_SAFE = ("GET", "HEAD", "OPTIONS")


class FormKeys:
    """Keys that only a form of this process has: each fits one form, and no other site can know it."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def key(self, *about: object) -> str:
        """The key of the form about these things."""
        return hmac.new(self._secret, repr(about).encode(), hashlib.sha256).hexdigest()

    def fits(self, given: str, *about: object) -> bool:
        """Whether a form about these things was ours."""
        return hmac.compare_digest(given.encode(errors="replace"), self.key(*about).encode())


class OriginCheck:
    """Refuses what a browser says it sends for a page of another site; what Burr's API is sent as well.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in _SAFE and not _is_own(Headers(scope=scope)):
            await refused(403, "This was sent from another site.")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_own(headers: Headers) -> bool:
    """Whether a page of ours sent it; a program that is no browser sends neither header."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
