"""Burr's API makes paths of files from addresses: those that would lead out of its folder end here."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from .headers import is_burrs
from .refusing import refused


class NoDots:
    """Refuses addresses below Burr's page in which a part is ``.`` or ``..``, however they are written.

    Args:
        app: What is behind it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and is_burrs(scope["path"]) and _has_dots(scope["path"]):
            await refused(404, "No such page.")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _has_dots(path: str) -> bool:
    parts = (part for text in (path, unquote(path)) for part in re.split(r"[/\\]", text))
    return any(part in (".", "..") for part in parts)
