"""How the templates write values: what a template cannot say in one word."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup

from ..amounts import duration, file_size, number
from ..shadow import in_words

NONE = "–"
"""What stands where there is nothing to say."""

_LONGEST = 300
"""Characters of a value of the user's that a table shows."""


def writable(value: Any) -> Any:
    r"""A value whose text can be sent: half a character, as names of files can hold, becomes a sign for it.

    Example:
        >>> writable("a\udce9.png") == "a\ufffd.png", writable(3)
        (True, 3)
    """
    text = value if isinstance(value, str) else str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return Markup(whole) if isinstance(value, Markup) else whole
    return value


def moment(seconds: Any) -> str:
    """A moment, in the server's local time."""
    when = _when(seconds)
    return f"{when:%Y-%m-%d %H:%M:%S}" if when else NONE


def minute(seconds: Any) -> str:
    """A moment where there is little room."""
    when = _when(seconds)
    return f"{when:%b %d, %H:%M}" if when else NONE


def iso(seconds: Any) -> str:
    """A moment for programs, with its time zone; empty where it is none."""
    when = _when(seconds)
    return when.isoformat(timespec="seconds") if when else ""


def _when(seconds: Any) -> datetime | None:
    """A moment in the server's time zone, ``None`` where no calendar has it."""
    try:
        return datetime.fromtimestamp(float(seconds)).astimezone()
    except (OSError, OverflowError, TypeError, ValueError):
        return None


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
