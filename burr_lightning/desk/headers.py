"""What a browser may do with our pages: run our scripts, and nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BURR = "/burr"
"""Where Burr's own page is."""

# Styles may be inline for Plotly, which writes its own into the page; scripts may not.
_OWN = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


_FILES = ("/static/", f"{BURR}/assets/", f"{BURR}/public/")
"""Below these are files of packages: a browser may keep them, and asks each time whether they changed."""


def is_burrs(path: str) -> bool:
    """Whether an address is one of Burr's page."""
    return path == BURR or path.startswith(f"{BURR}/")


def _burrs(base: str) -> str:
    """Burr's page holds one line of script, which says where it is, and sets styles as it goes."""
    line = f"window.__BURR_BASE_PATH__='{base}';"
    digest = base64.b64encode(hashlib.sha256(line.encode()).digest()).decode()
    return (
        f"default-src 'self'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with it a browser leaves the origin out of the forms that we check it of.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class SecurityHeaders:
    """Adds the headers to every answer.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._of_burr = _burrs(BURR)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        policy = self._of_burr if is_burrs(path) else _OWN

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update({**_COMMON, "Content-Security-Policy": policy})
                files = path.startswith(_FILES) and message["status"] in (200, 206, 304)
                headers.setdefault("Cache-Control", "private, no-cache" if files else "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
