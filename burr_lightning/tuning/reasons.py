"""Why trials failed: in short in the rows, and whole in a file."""

from __future__ import annotations

import os
from pathlib import Path

_LINE, _TEXT = 600, 2000
"""Characters of a line, and of all of it, that are kept."""


class Reasons:
    """Keeps why the trials of a study failed.

    Args:
        folder: Where the files are; it is made for the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def in_short(self, trial: int, reason: str | None) -> str | None:
        """A reason that a row can hold: one that is long is cut, says so, and is whole in a file.

        Args:
            trial: The trial.
            reason: Why it failed, was pruned, or waits again; ``None`` for no reason.
        """
        if reason is None or (short := shortened(reason)) == reason:
            return reason
        path = self._folder / f"{trial}.txt"
        self._folder.mkdir(exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(reason, encoding="utf-8", errors="backslashreplace")
        os.replace(temporary, path)
        note = f"  (cut; all {len(reason)} characters of it are in {path})\n"
        first, _, rest = short.partition("\n")  # whoever reads a traceback knows it by its first line
        return f"{first}\n{note}{rest}" if first.startswith("Traceback ") else note + short


def shortened(text: str) -> str:
    """A text of bounded length: the first and the last part of it, and of its long lines.

    Args:
        text: Any text.

    Example:
        >>> len(shortened("x" * 1_000_000)) < 700
        True
    """
    lines = "\n".join(_cut(line, _LINE, " … ") for line in text.split("\n"))
    return _cut(lines, _TEXT, "\n  …\n")


def _cut(text: str, most: int, between: str) -> str:
    if len(text) <= most:
        return text
    return text[: most // 2] + between + text[-most // 2 :]
