"""The application: our pages, Burr's beside them, and what stands before both."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import plotly
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from ..layout import home
from ..persisters import Place
from .addresses import LOOPBACK_NAMES, HostCheck
from .burr_pages import burr_app
from .dots import NoDots
from .forgery import FormKeys, OriginCheck
from .headers import BURR, SecurityHeaders
from .options import checked_names, checked_token
from .pages import Pages
from .routes import routes_of
from .store import RunStore
from .token import TokenGate

_STATIC = Path(__file__).parent / "static"
_PLOTLY = Path(plotly.__file__).parent / "package_data"
_STATUSES = {
    404: "No such page",
    405: "That cannot be done here",
    413: "That is more than a form can hold",
    415: "That is no form of this page",
}


def create_app(
    root_dir: str | os.PathLike[str] | None = None,
    *,
    project: str | None = None,
    persister: str | Place | None = None,
    token: str | None = None,
    hosts: Iterable[str] = LOOPBACK_NAMES,
    burr: bool = True,
) -> FastAPI:
    """The web page, as an application for any ASGI server.

    Args:
        root_dir: Where runs are kept, as in `BurrCallback`.
        project: The only project that is shown; ``None`` shows all.
        persister: A persister for all runs, or the URL of those that were trained with it, with the password.
        token: What opens the page, 16 characters of ASCII or more; ``None`` opens it to everyone who can
            reach the server.
        hosts: The names by which requests may call the server. With a token, every address in numbers is
            one as well.
        burr: Whether Burr's own page is served below ``/burr``.

    Raises:
        DeskOptionError: If the token is none that holds, or a host is no name.

    Example:
        >>> from fastapi.testclient import TestClient
        >>> page = TestClient(create_app(burr=False), base_url="http://127.0.0.1").get("/")
        >>> page.status_code
        200
    """
    token, hosts = checked_token(token), checked_names(hosts)
    keys = FormKeys()
    pages = Pages(RunStore(home(root_dir), project, persister), keys)
    beside = burr_app() if burr else None
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_with_life_of(beside),
        middleware=_middleware(token, hosts),
    )
    app.include_router(routes_of(pages))
    app.add_exception_handler(HTTPException, _error_page(pages))
    app.mount("/static/charts", _OnlyPlotly(directory=_PLOTLY), name="charts")
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    if beside is not None:
        app.mount(BURR, beside, name="burr")
    return app


def _middleware(token: str | None, hosts: Iterable[str]) -> list[Middleware]:
    """What a request passes, the first first."""
    gate = [Middleware(TokenGate, token=token)] if token is not None else []
    check = Middleware(HostCheck, names=list(hosts), numbers=token is not None)
    return [Middleware(SecurityHeaders), check, *gate, Middleware(OriginCheck), Middleware(NoDots)]


class _OnlyPlotly(StaticFiles):
    """Of Plotly's files the one that draws."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Where a file is, which for every other one is nowhere."""
        return super().lookup_path(path) if path == "plotly.min.js" else ("", None)


def _with_life_of(beside: FastAPI | None):  # type: ignore[no-untyped-def]
    """A mounted application does not begin and end by itself: it does with ours."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if beside is not None:
                await stack.enter_async_context(beside.router.lifespan_context(beside))
            yield

    return lifespan


def _error_page(pages: Pages):  # type: ignore[no-untyped-def]
    async def show(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return pages.error(request, status, _STATUSES.get(status, "That did not work"), "")

    return show
