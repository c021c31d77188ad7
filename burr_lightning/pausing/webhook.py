"""Telling a web address that a run waits."""

from __future__ import annotations

import json
import logging
import math
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..errors import ArgumentError
from .pause import OnPause, Pause

log = logging.getLogger(__name__)


def post_to(url: str, *, timeout: float = 5.0, headers: Mapping[str, str] | None = None) -> OnPause:
    """A function for ``on_pause`` that posts each pause to a web address, as JSON.

    What goes wrong there, and what takes longer than ``timeout``, is a warning in the log: the training
    never fails for it. The log names the address's host alone, for the rest of it may be a secret.

    Args:
        url: ``http://`` or ``https://``.
        timeout: Seconds that the whole of it may take, more than 0.
        headers: Headers of the request, as ``{"Authorization": "Bearer ..."}``.

    Returns:
        The function. It posts what `Pause.as_json` gives.

    Raises:
        ArgumentError: If the address or the time is none.

    Example:
        >>> from burr_lightning import BurrCallback
        >>> burr = BurrCallback(on_pause=post_to("https://example.org/hooks/training"))
    """
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ArgumentError(f"post_to({url!r}): give an address that begins with http:// or https://.")
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 < timeout < math.inf:
        raise ArgumentError(f"post_to(..., timeout={timeout!r}): it must be seconds, more than 0.")
    host = parts.hostname
    sent = {"Content-Type": "application/json", **(headers or {})}

    def post(pause: Pause) -> None:
        failed: list[BaseException] = []

        def send() -> None:
            try:
                body = json.dumps(pause.as_json()).encode()
                request = urllib.request.Request(url, data=body, headers=sent, method="POST")
                with urllib.request.urlopen(request, timeout=timeout):
                    pass
            except urllib.error.HTTPError as error:
                error.close()  # it is an answer, too, with a socket
                failed.append(error)
            except Exception as error:
                failed.append(error)

        # A thread: the time-out of a socket counts anew with every byte.
        thread = threading.Thread(target=send, name="burr-lightning-post", daemon=True)
        thread.start()
        thread.join(timeout)
        if thread.is_alive():
            log.warning("%s did not answer within %g s that run %r waits.", host, timeout, pause.run_id)
        elif failed:
            kind = getattr(failed[0], "code", None) or type(failed[0]).__name__
            log.warning("%s could not be told that run %r waits: %s.", host, pause.run_id, kind)

    return post
