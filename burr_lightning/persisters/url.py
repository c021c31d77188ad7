"""The URL of a persister: checked, and shown without its password."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

from ..errors import ArgumentError, MissingExtraError

_POSTGRESQL = ("psycopg2", "postgresql")
_REDIS = ("redis", "redis")
_MONGODB = ("pymongo", "mongodb")
_NEEDS: dict[str, tuple[str, str] | None] = {
    "sqlite": None,
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "redis": _REDIS,
    "rediss": _REDIS,
    "mongodb": _MONGODB,
    "mongodb+srv": _MONGODB,
}
"""The package that each scheme needs, and the extra that brings it."""

SCHEMES = (
    "sqlite:///path, postgresql://user:password@host/database, redis://host/0, rediss://, "
    "mongodb://host/database, mongodb+srv://"
)

_HOSTS = re.compile(r"(\[[^\]@]*\]|[^:\[\]@,]*)(:\d+)?(,(\[[^\]@]*\]|[^:\[\]@,]*)(:\d+)?)*")
_SECRET = re.compile(r"pass|token|secret|authmechanismproperties", re.IGNORECASE)
_HIDDEN = "***"
_SHORTEST = 4
"""Characters: a shorter password is hidden where it stands in a URL, and not looked for elsewhere."""


@dataclass(frozen=True)
class PersisterUrl:
    """Where a run's rows are: a file of SQLite, or a database on a server.

    Args:
        text: The URL as the user gave it, password included; nothing prints it.

    Example:
        >>> url = PersisterUrl("postgresql://me:secret@host/runs")
        >>> url.scheme, str(url)
        ('postgresql', 'postgresql://me@host/runs')
    """

    text: str = field(repr=False)

    @staticmethod
    def parse(given: str, asked_by: str = "BurrCallback") -> PersisterUrl:
        """A URL that can be opened here.

        Args:
            given: The URL.
            asked_by: The call that it was an argument of, for the error.

        Raises:
            ArgumentError: If it is no URL of a persister.
            MissingExtraError: If the package that talks to such a server is not installed.
        """
        call = f"{asked_by}(persister={without_password(given)!r})"
        scheme, separator, rest = given.partition("://")
        if not separator or scheme not in _NEEDS:
            raise ArgumentError(
                f"{call}: it must be a synchronous Burr persister, as SQLitePersister(path), "
                f"or a URL: {SCHEMES}."
            )
        if scheme == "sqlite":
            return _sqlite(rest, call)
        if not _HOSTS.fullmatch(_parts(rest)[1]):
            raise ArgumentError(
                f"{call}: this is no URL of a server. Write a / ? # @ or : of a password as %2F %3F %23 %40 "
                f"or %3A; the URLs that can be given are {SCHEMES}."
            )
        _import_driver(scheme, call)
        return PersisterUrl(given)

    @staticmethod
    def of_file(path: Path) -> PersisterUrl:
        """The URL of a SQLite file."""
        return PersisterUrl(f"sqlite:///{path.absolute()}")

    @property
    def scheme(self) -> str:
        """What stands before ``://``."""
        return self.text.partition("://")[0]

    @property
    def path(self) -> Path | None:
        """The SQLite file, ``None`` for a server."""
        return Path(self.text.removeprefix("sqlite:///")) if self.scheme == "sqlite" else None

    def __str__(self) -> str:
        """The URL without its password; a file by its path."""
        return str(self.path) if self.path else self.stored

    @property
    def stored(self) -> str:
        """The URL without its password, as it is written down."""
        return without_password(self.text)

    def hide(self, text: str) -> str:
        """Another program's text, without what must not be seen of this URL."""
        return hidden(text, self.text)


def _sqlite(rest: str, call: str) -> PersisterUrl:
    path = rest.removeprefix("/")
    if not rest.startswith("/") or not path or "?" in path:
        raise ArgumentError(
            f"{call}: a SQLite file is sqlite:///folder/file.db from the working folder, "
            f"or sqlite:////folder/file.db from the root; options are not taken."
        )
    return PersisterUrl.of_file(Path(path).expanduser())


def _import_driver(scheme: str, call: str) -> None:
    needed = _NEEDS[scheme]
    if needed is None:
        return
    package, extra = needed
    try:
        import_module(package)
    except ImportError as error:
        instead = f"Persisters by URL are {SCHEMES}; sqlite needs nothing more."
        raise MissingExtraError(call, package, extra, instead) from error


def hidden(text: str, url: str, secrets: Iterable[str] = ()) -> str:
    """Another program's text, without what must not be seen of a URL, and without other secrets."""
    for secret in sorted({*_secrets(url), *secrets}, key=len, reverse=True):
        text = text.replace(f":{secret}@", f":{_HIDDEN}@")
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, _HIDDEN)
    return text


def without_password(url: str) -> str:
    """A URL as it can be shown and written down."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return f"{_HIDDEN}@{url.rpartition('@')[2]}" if "@" in url else url
    if scheme == "sqlite":
        return url
    credentials, hosts, path, options = _parts(rest)
    if not _HOSTS.fullmatch(hosts):
        return f"{scheme}://{_HIDDEN}"
    user = credentials.partition(":")[0]
    kept = "&".join(option for option in options if not _SECRET.search(option.partition("=")[0]))
    return f"{scheme}://{user}{'@' if user else ''}{hosts}{path}{'?' if kept else ''}{kept}"


def _secrets(url: str) -> set[str]:
    credentials, _, _, options = _parts(url.partition("://")[2])
    pairs = [option.partition("=") for option in options]
    found = {credentials.partition(":")[2], *(value for name, _, value in pairs if _SECRET.search(name))}
    return {text for secret in found if secret for text in (secret, unquote(secret))}


def _parts(rest: str) -> tuple[str, str, str, list[str]]:
    """What stands behind ``://``: user and password, the hosts, the path, and the options."""
    body, _, query = rest.partition("?")
    authority = re.split(r"[/#]", body, maxsplit=1)[0]
    credentials, _, hosts = authority.rpartition("@")
    return credentials, hosts, body[len(authority) :], [option for option in query.split("&") if option]
