"""A command as it is shown: without the passwords that are in its arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

_IN_A_URL = re.compile(r"(://[^\s:@/]*):\S*@")
_IN_A_QUERY = re.compile(r"([?&]\w*(?:password|passwd|token|secret)\w*=)[^&\s]+", re.IGNORECASE)


def shown_words(command: Iterable[str]) -> list[str]:
    """The words of a command, with a mark in the place of each password of a URL.

    Example:
        >>> shown_words(["train", "--db=postgresql://me:hunter2@host/runs"])
        ['train', '--db=postgresql://me:***@host/runs']
    """
    return [_IN_A_QUERY.sub(r"\1***", _IN_A_URL.sub(r"\1:***@", word)) for word in command]


def shown_command(command: Iterable[str]) -> str:
    """A command on one line."""
    return shlex.join(shown_words(command))
