"""What the page may be started with."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import BurrLightningError

SHORTEST = 16
"""Characters of a token: with fewer of them it could be found by trying."""


class DeskOptionError(BurrLightningError, ValueError):
    """The review desk cannot be opened like that: its token, or a name of its server, is none."""


def checked_token(token: str | None) -> str | None:
    """The token itself, where it can be one; it is never part of the error.

    Raises:
        DeskOptionError: If it is too short, or has signs in it that not every program can send.
    """
    if token is None:
        return None
    if not (isinstance(token, str) and token.isascii() and token.isprintable() and " " not in token):
        raise DeskOptionError("The token of the review desk takes ASCII letters, digits and signs.")
    if len(token) < SHORTEST:
        why = f"has {len(token)} characters; it takes {SHORTEST} or more"
        raise DeskOptionError(f"The token of the review desk {why}.")
    return token


def checked_names(names: Iterable[str]) -> list[str]:
    """The names themselves, where each can be the name of a server.

    Raises:
        DeskOptionError: If it is one text instead of several, or one of them is an address or a pattern.
    """
    if isinstance(names, str):
        raise DeskOptionError(f"hosts={names!r} of the review desk is one text; it takes a list of names.")
    found = list(names)
    for name in found:
        if not isinstance(name, str) or not name or any(sign in "/*@?#%," or sign.isspace() for sign in name):
            raise DeskOptionError(
                f"{name!r} is no name of a server: the review desk takes one such as desk.example.org, "
                "without https:// and without a path."
            )
    return found
