"""Burr's own tracking page, below ours: without its demonstrations, quiet, and quick with long runs."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Mount, Route

from ..errors import MissingExtraError
from ..layout import RunFolder, RunInfo, read_json
from ..tracked import place_of
from .burr_routes import log_routes, page_with_older_steps
from .headers import BURR

_BUILD = Path(str(files("burr"))) / "tracking" / "server" / "build"
_PATH_VARIABLE = "burr_path"
"""Of Burr's server: the folder that it shows."""


def burr_app() -> FastAPI:
    """Burr's application.

    Its demonstrations, which ask services on the net, and its interactive documentation, which is loaded
    from the net, are left out: what is served is what follows runs.
    """
    server = _server()
    whole: FastAPI = server.create_burr_ui_app(serve_static=True)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=server.lifespan)

    @app.get("/api/v0/metadata/app_spec")
    def app_spec() -> dict[str, Any]:
        spec: dict[str, Any] = server.app_spec.model_dump()
        return {**spec, "supports_demos": False}

    for name in ("favicon.ico", "logo.png"):  # for which its page gets itself otherwise
        app.router.routes.append(Route(f"/{name}", _file(_BUILD / name)))
    app.include_router(log_routes(server))  # before Burr's own of the same addresses
    app.router.routes.extend(
        page_with_older_steps(route) for route in whole.router.routes if _follows_runs(route, server)
    )
    return app


@contextmanager
def _quietly() -> Iterator[None]:
    """Keeps what is imported from setting up the log of the whole process, and from writing to it."""
    root, nothing = logging.getLogger(), logging.NullHandler()
    root.addHandler(nothing)  # Burr adds one that prints where there is none
    disabled = root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.removeHandler(nothing)


def _server() -> ModuleType:
    try:
        with _quietly():
            from burr.tracking.server import run
    except ImportError as missing:
        raise MissingExtraError("burr-lightning ui", missing.name or "apache-burr", "ui") from missing
    module: ModuleType = run
    return module


def _file(path: Path) -> Callable[[Request], FileResponse]:
    return lambda _: FileResponse(path)


def _follows_runs(route: BaseRoute, server: ModuleType) -> bool:
    """Whether a route is one of the tracking page's own."""
    endpoint = getattr(route, "endpoint", None)
    return isinstance(route, Mount) or getattr(endpoint, "__module__", None) == server.__name__


def burr_address(run: RunFolder, info: RunInfo) -> str | None:
    """Where a run is in Burr's page, ``None`` where its tracker wrote to a place that page does not show.

    Args:
        run: Its folder.
        info: What that says.
    """
    folder = place_of(run, info)
    if folder is None:
        return None
    shown = Path(os.environ.get(_PATH_VARIABLE, "~/.burr")).expanduser()
    if not folder.is_relative_to(shown) or not (folder / "log.jsonl").exists():
        return None
    key = (read_json(folder / "metadata.json") or {}).get("partition_key") or "__none__"
    parts = (folder.parent.name, str(key), folder.name)
    return f"{BURR}/project/{'/'.join(quote(part, safe='', errors='surrogateescape') for part in parts)}"
