"""Renders the pages of the desk, whole and in parts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from .forgery import FormKeys
from .run_parts import PARTS, Typed, run_context
from .run_rows import rows_of
from .store import RunStore, StoredRun
from .words import FILTERS, writable


def environment() -> Environment:
    """The templates of this package; every value is escaped, and a name that is not given is an error."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=writable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    return made


class Pages:
    """The pages of a store.

    Args:
        store: The runs.
        keys: What forms are signed with.
    """

    def __init__(self, store: RunStore, keys: FormKeys) -> None:
        self.store, self.keys = store, keys
        self._templates = Jinja2Templates(env=environment())

    def runs(self, request: Request) -> Response:
        """The list of runs."""
        table, version = self.runs_table()
        return self._page(request, "runs.html", table=table, version=version)

    def runs_table(self) -> tuple[str, str]:
        """The list itself, and its entity tag."""
        rows = rows_of(self.store.all())
        waiting = sum(row.question is not None for row in rows)
        table = self._part("parts/runs.html", rows=rows, waiting=waiting, **self._shared())
        return table, tag_of(table)

    def run(
        self, request: Request, stored: StoredRun, typed: Typed | None = None, status: int = 200
    ) -> Response:
        """The page of a run."""
        version = self.version(stored)  # before it is read: what changes meanwhile is shown by the next one
        context = run_context(stored, self.store.lineage(stored), self.keys, typed)
        return self._page(request, "run.html", status, **context, version=version)

    def run_parts(self, stored: StoredRun) -> dict[str, Any]:
        """The parts of a run's page, for a page that is open."""
        context = {**run_context(stored, self.store.lineage(stored), self.keys), **self._shared()}
        question = context["question"]
        return {
            "parts": {name: self._part(f"parts/{name}.html", **context) for name in PARTS},
            "question": question["is"] if question else None,
            "status": context["status"],
        }

    def version(self, stored: StoredRun) -> str:
        """The entity tag of what a run's page shows."""
        return tag_of(self.store.signature(stored))

    def broken(self, request: Request, error: str) -> Response:
        """The page of a run that cannot be shown."""
        title = "This run cannot be read"
        return self._page(request, "error.html", 500, title=title, text=error)

    def error(self, request: Request, status: int, title: str, text: str) -> Response:
        """A page that says what is wrong."""
        return self._page(request, "error.html", status, title=title, text=text)

    def _page(self, request: Request, name: str, code: int = 200, **context: Any) -> Response:
        given = {**self._shared(), **context}
        return self._templates.TemplateResponse(request, name, given, status_code=code)

    def _part(self, name: str, **context: Any) -> str:
        return self._templates.get_template(name).render(context)

    def _shared(self) -> dict[str, Any]:
        return {"root": str(self.store.root), "only_project": self.store.project}


def tag_of(text: str) -> str:
    """The entity tag of a text."""
    return f'"{hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]}"'
