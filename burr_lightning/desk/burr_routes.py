"""The addresses of Burr's tracking server that read logs, answered by reading the end of each.

They are Burr's own addresses and its own models, read off apache-burr 0.43; `tests/test_burr_log.py` fails
loudly when one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute

from .burr_log import Answer, NotTrackedError, RunLogs
from .log_window import count_steps

LOG = "/api/v0/{project_id}/{app_id}/{partition_key}/apps"
RUNS = "/api/v0/{project_id}/{partition_key}/apps"
PAGE = "/{rest_of_path:path}"
_SHOWN = "/api/v0/{project_id}/{app_id}/{partition_key}/shown"
"""Ours: which steps Burr's page has been given."""
_SCRIPT = '<script src="/static/burr_steps.js" defer></script>'
_MOST_DIGITS = 15


def log_routes(server: ModuleType) -> APIRouter:
    """The routes that read logs; none where Burr is set up to read from elsewhere than a folder.

    Args:
        server: Burr's server.
    """
    from burr.tracking.server.backend import LocalBackend

    routes = APIRouter()
    if type(server.backend) is not LocalBackend:
        return routes

    class Backend(LocalBackend):
        """Burr's, which reads a whole log to say how many steps it has."""

        async def get_number_of_steps(self, file_path: str) -> int:
            return count_steps(Path(file_path))

    backend = Backend(server.backend.path)
    logs = RunLogs(Path(backend.path), server.schema)

    @routes.get(RUNS)
    async def runs(
        request: Request, project_id: str, partition_key: str, limit: int = 100, offset: int = 0
    ) -> Any:
        key = None if partition_key == server.SENTINEL_PARTITION_KEY else partition_key
        found, total = await backend.list_apps(request, project_id, key, limit, offset)
        more = total > offset + limit
        return server.schema.ApplicationPage(applications=list(found), total=total, has_another_page=more)

    @routes.get(LOG)
    def log(request: Request, project_id: str, app_id: str, partition_key: str) -> Response:
        return _sent(request, _answer(logs, request, project_id, app_id))

    @routes.get(_SHOWN)
    def shown(request: Request, project_id: str, app_id: str, partition_key: str) -> dict[str, int | bool]:
        window = _answer(logs, request, project_id, app_id).window
        numbers = {"first": window.first, "end": window.end, "steps": window.steps, "most": logs.most}
        return {**numbers, "older": window.has_older}

    return routes


def _answer(logs: RunLogs, request: Request, project: str, run_id: str) -> Answer:
    try:
        return logs.answer(project, run_id, before_of(request, project, run_id))
    except NotTrackedError:
        raise HTTPException(404, f"App: {run_id} from project: {project} not found") from None


def before_of(request: Request, project: str, run_id: str) -> int | None:
    """The number of the step that the steps asked for come before, ``None`` for the newest ones.

    Burr's page asks for a run without saying more. What it is opened with itself, ``?before=1000``, comes as
    the address that the request is sent from, if that is the page of this run: it asks for its forks as well.
    """
    number = request.query_params.get("before") or _before_in_page(request, project, run_id)
    return int(number) if number.isdecimal() and len(number) <= _MOST_DIGITS and int(number) > 0 else None


def _before_in_page(request: Request, project: str, run_id: str) -> str:
    try:
        page = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    *_, kind, of_project, _key, of_run = ["", "", "", *map(unquote, page.path.split("/"))]
    is_runs = (kind, of_project, of_run) == ("project", project, run_id)
    return parse_qs(page.query).get("before", [""])[0] if is_runs else ""


def _sent(request: Request, answer: Answer) -> Response:
    headers = {"ETag": answer.tag, "Vary": "Accept-Encoding, Referer"}
    if request.headers.get("if-none-match") == answer.tag:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(answer.body, media_type="application/json", headers=headers)
    return Response(
        answer.zipped, media_type="application/json", headers={**headers, "Content-Encoding": "gzip"}
    )


def page_with_older_steps(route: BaseRoute) -> BaseRoute:
    """A route of Burr's; that of its page with a script of ours, which says where steps are left out."""
    if not isinstance(route, APIRoute) or route.path != PAGE:
        return route
    return APIRoute(PAGE, _with_script(route.endpoint), methods=["GET"])


def _with_script(page: Callable[..., Any]) -> Callable[..., Any]:
    async def whole_page(req: Request, rest_of_path: str) -> Response:
        made: Response = await page(req, rest_of_path)
        if made.media_type != "text/html":
            return made
        return HTMLResponse(bytes(made.body).decode().replace("</head>", f"{_SCRIPT}</head>"))

    return whole_page
