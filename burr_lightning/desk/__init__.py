"""The web page: a review desk for runs, with Burr's own page beside it."""

from __future__ import annotations

from ..errors import MissingExtraError

try:
    import jinja2 as _jinja2  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401

    from .app import create_app
except ModuleNotFoundError as missing:
    if (missing.name or "").startswith("burr_lightning"):
        raise
    raise MissingExtraError("burr-lightning ui", missing.name or "fastapi", "ui") from missing

__all__ = ["create_app"]
