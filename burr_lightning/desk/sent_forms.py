"""Reads a form as it is sent: of one kind, and never more than a form of ours can hold."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

_MOST_BYTES = 200_000
_MOST_FIELDS = 200
_KIND = "application/x-www-form-urlencoded"


async def sent_form(request: Request) -> dict[str, str]:
    """The values of a form, by their names.

    Raises:
        HTTPException: If it is of another kind, or too large.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _KIND:
        raise HTTPException(415)
    try:
        text = (await _body(request)).decode("ascii", "replace")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:  # too many of them
        raise HTTPException(413) from error
    except ClientDisconnect as error:
        raise HTTPException(400) from error


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413)
    return bytes(body)
