"""Opening the persister that a URL names, or taking the one that the user opened."""

from __future__ import annotations

from burr.core.persistence import BaseStatePersister, InMemoryPersister

from .retrying import RetryingPersister
from .url import PersisterUrl

Place = PersisterUrl | BaseStatePersister
"""Where rows are: a URL, or a persister that the user opened."""


def written_down(place: Place) -> str:
    """What a run's folder keeps of it: a URL without its password, or the kind of a persister.

    Example:
        >>> from burr.core.persistence import InMemoryPersister
        >>> written_down(PersisterUrl("redis://:secret@host/0")), written_down(InMemoryPersister())
        ('redis://host/0', 'InMemoryPersister')
    """
    return place.stored if isinstance(place, PersisterUrl) else type(place).__name__


def connected(place: Place, run_id: str) -> RetryingPersister:
    """A run's persister, to write to; it is opened when it is first asked.

    Args:
        place: Where its rows are.
        run_id: The run.
    """
    if isinstance(place, PersisterUrl):
        return RetryingPersister(
            lambda: opened_to_write(place), run_id, str(place), reconnects=True, hide=place.hide
        )
    return RetryingPersister(lambda: place, run_id, f"its {type(place).__name__}", reconnects=False)


def opened_to_write(url: PersisterUrl) -> BaseStatePersister:
    """The persister of a URL; a table of rows is made where there is none."""
    if url.path is not None:
        from .sqlite import open_sqlite

        return open_sqlite(url.path)
    if url.scheme in ("postgresql", "postgres"):
        from .postgresql import open_postgresql

        return open_postgresql(url.text)
    if url.scheme in ("redis", "rediss"):
        from .redis import open_redis

        return open_redis(url.text)
    from .mongodb import open_mongodb

    return open_mongodb(url.text)


def opened_to_read(url: PersisterUrl) -> BaseStatePersister:
    """The persister of a URL, to read from; where there is no table of rows, none is made.

    Args:
        url: Where the rows are.
    """
    if url.path is not None:
        from .sqlite import read_sqlite

        return read_sqlite(url.path) or InMemoryPersister()
    if url.scheme in ("postgresql", "postgres"):
        from .postgresql import read_postgresql

        return read_postgresql(url.text) or InMemoryPersister()
    if url.scheme in ("redis", "rediss"):
        return opened_to_write(url)
    from .mongodb import read_mongodb

    return read_mongodb(url.text)
