"""The token that opens the page where others can reach it: everything is behind it."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .refusing import refused

log = logging.getLogger(__name__)

_COOKIE = "burr_lightning_desk"
_DAYS = 30
_QUIET = 10.0
"""Seconds between two lines of the log on wrong tokens."""

_FORM = (
    '<form method="get"><label>Token <input type="password" name="token" required></label> '
    "<button>Open</button></form>"
)


class TokenGate:
    """Lets in who knows the token.

    It is taken from the address once (``?token=``), and a cookie takes its place; programs send it as
    ``Authorization: Bearer``. The cookie holds a keyed hash, from which the token does not follow.

    Args:
        app: What is behind it.
        token: The token.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()
        self._pass = hmac.new(self._token, b"burr-lightning desk", hashlib.sha256).hexdigest()
        # Cookies do not tell ports apart: two servers of one machine must not take each other's.
        self.cookie = f"{_COOKIE}_{hmac.new(self._token, b'cookie', hashlib.sha256).hexdigest()[:8]}"
        self._said = -_QUIET

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or ask for the token."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":  # nothing here speaks anything else
            response = self._instead(Request(scope))
            await (response or self._app)(scope, receive, send)

    def _instead(self, request: Request) -> Response | None:
        """What is answered in place of the page; ``None`` for who may see it."""
        given = request.query_params.get("token")
        if given is not None and request.method == "GET":
            return self._opened(request) if self._is_token(given) else self._closed(request, wrong=True)
        kind, _, bearer = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(bearer.strip()):
            return None
        cookie = request.cookies.get(self.cookie, "")
        if hmac.compare_digest(cookie.encode(), self._pass.encode()):
            return None
        return self._closed(request, wrong=bool(bearer or cookie))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token)

    def _opened(self, request: Request) -> Response:
        """The same address without the token, and the cookie."""
        kept = [(name, value) for name, value in parse_qsl(request.url.query) if name != "token"]
        path = "/" + request.url.path.lstrip("/")  # never `//host`, which would lead elsewhere
        response = RedirectResponse(f"{path}?{urlencode(kept)}" if kept else path, status_code=303)
        response.set_cookie(
            self.cookie,
            self._pass,
            max_age=_DAYS * 86400,
            httponly=True,
            samesite="lax",  # a link in a chat opens the page; what changes something is checked by itself
            secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
        )
        return response

    def _closed(self, request: Request, *, wrong: bool) -> Response:
        now = time.monotonic()
        if wrong and now - self._said >= _QUIET:
            self._said = now
            log.warning("A wrong token came from %s.", request.client.host if request.client else "somewhere")
        response = refused(401, "This page opens with its token.", _FORM)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
