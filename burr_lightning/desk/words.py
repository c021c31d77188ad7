"""How the templates write values: what a template cannot say in one word."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..amounts import duration, file_size, number
from ..shadow import in_words

NONE = "–"
"""What stands where there is nothing to say."""

_LONGEST = 300
"""Characters of a value of the user's that a table shows."""


def moment(seconds: float) -> str:
    """A moment, in the server's local time."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def minute(seconds: float) -> str:
    """A moment where there is little room."""
    return f"{datetime.fromtimestamp(seconds):%b %d, %H:%M}"


def iso(seconds: float) -> str:
    """A moment for programs, with its time zone."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def place(path: Any) -> str:
    """A path as people write it, with ``~`` for the home of the server's user."""
    text, own = str(path), os.path.expanduser("~")
    return f"~{text[len(own) :]}" if text == own or text.startswith(f"{own.rstrip('/')}/") else text


def short(value: Any) -> str:
    """Any value on one line, cut where it is long.

    Example:
        >>> short(0.1), short(True), short(float("nan")), short("x" * 400)[-3:]
        ('0.1', 'true', 'nan', 'xx…')
    """
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, float) and math.isfinite(value):
        text = f"{value:.6g}"
    else:
        text = "none" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def command_line(launch: Mapping[str, Any] | None) -> str | None:
    """The command that starts a run again, as a shell takes it; ``None`` where none was kept."""
    command = launch.get("command") if isinstance(launch, Mapping) else None
    if launch is None or not isinstance(command, (list, tuple)) or not command:
        return None
    line = shlex.join(str(word) for word in command)
    folder, environment = launch.get("folder"), launch.get("environment")
    names = environment.items() if isinstance(environment, Mapping) else ()
    settings = "".join(f"{name}={shlex.quote(str(value))} " for name, value in names)
    return f"cd {shlex.quote(str(folder))} && {settings}{line}" if folder else f"{settings}{line}"


FILTERS = {
    "moment": moment,
    "minute": minute,
    "iso": iso,
    "short": short,
    "place": place,
    "number": number,
    "duration": duration,
    "file_size": file_size,
    "shadow": in_words,
}
