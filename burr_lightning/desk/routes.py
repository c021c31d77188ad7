"""The addresses of the desk."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from .answers import RefusedError, answer
from .charts import charts_of
from .pages import Pages
from .run_rows import address_of
from .sent_forms import sent_form
from .store import NoSuchRunError, StoredRun, UnreadableRun

log = logging.getLogger(__name__)


def routes_of(pages: Pages) -> APIRouter:
    """The routes. Those that read files are plain functions, which FastAPI runs in threads.

    Args:
        pages: What renders the pages.
    """
    routes = APIRouter()

    @routes.get("/")
    def runs(request: Request) -> Response:
        return pages.runs(request)

    @routes.get("/runs")
    def live_runs(request: Request) -> Response:
        table, version = pages.runs_table()
        return _changed(request, version, lambda: {"parts": {"runs": table}})

    @routes.get("/runs/{project}/{run_id}")
    def run(request: Request, project: str, run_id: str) -> Response:
        return _of_run(pages, request, project, run_id, lambda stored: pages.run(request, stored))

    @routes.get("/runs/{project}/{run_id}/parts")
    def live_run(request: Request, project: str, run_id: str) -> Response:
        def parts(stored: StoredRun) -> Response:
            return _changed(request, pages.version(stored), lambda: pages.run_parts(stored))

        return _of_run(pages, request, project, run_id, parts)

    @routes.get("/runs/{project}/{run_id}/charts")
    def charts(request: Request, project: str, run_id: str) -> Response:
        def curves(stored: StoredRun) -> Response:
            return _changed(request, pages.version(stored), lambda: charts_of(stored.run))

        return _of_run(pages, request, project, run_id, curves)

    @routes.post("/runs/{project}/{run_id}/answer")
    async def answered(request: Request, project: str, run_id: str) -> Response:
        given = await sent_form(request)
        return await run_in_threadpool(_answered, pages, request, project, run_id, given)

    return routes


def _answered(pages: Pages, request: Request, project: str, run_id: str, form: Mapping[str, str]) -> Response:
    def give(stored: StoredRun) -> Response:
        try:
            answer(stored, form, pages.keys)
        except RefusedError as refused:
            return pages.run(request, stored, refused.typed, refused.status)
        return RedirectResponse(address_of(stored.folder), status_code=303)

    return _of_run(pages, request, project, run_id, give)


def _of_run(
    pages: Pages, request: Request, project: str, run_id: str, show: Callable[[StoredRun], Response]
) -> Response:
    """What is shown of a run, or the page that says why nothing is."""
    try:
        stored = pages.store.one(project, run_id)
    except NoSuchRunError:
        text = "No run of that name is stored here. It may have been deleted."
        return pages.error(request, 404, "No such run", text)
    if isinstance(stored, UnreadableRun):
        return pages.broken(request, stored.error)
    try:
        return show(stored)
    except Exception as error:  # files that another version wrote, or somebody's hand
        log.debug("%s cannot be shown.", stored.folder.path, exc_info=True)
        return pages.broken(request, f"{type(error).__name__}: {error}")


def _changed(request: Request, version: str, content: Callable[[], dict[str, Any]]) -> Response:
    """The content as JSON, or that it is still what the page has."""
    if request.headers.get("if-none-match") == version:
        return Response(status_code=304, headers={"ETag": version})
    # Half a character, as names of files can hold, is escaped: nothing of it is left to be encoded.
    text = json.dumps(content(), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Response(text, media_type="application/json", headers={"ETag": version})
