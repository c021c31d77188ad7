"""A request that is refused: a short text, the same for a page and for a program."""

from __future__ import annotations

from starlette.responses import HTMLResponse, Response

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><title>{status}</title></head>
<body><h1>{status}</h1><p>{why}</p>{more}</body></html>
"""


def refused(status: int, why: str, more: str = "") -> Response:
    """The answer to a request that is not served.

    Args:
        status: The status of HTTP.
        why: What is wrong, in words of ours: nothing of the request is repeated.
        more: HTML of ours that follows.
    """
    return HTMLResponse(_PAGE.format(status=status, why=why, more=more), status_code=status)
