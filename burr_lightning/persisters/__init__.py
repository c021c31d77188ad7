"""Burr's persisters: opened from a URL, and asked again where they fail for a while."""

from .opening import Place, connected, opened_to_read, written_down
from .retrying import RetryingPersister
from .url import SCHEMES, PersisterUrl

__all__ = [
    "SCHEMES",
    "PersisterUrl",
    "Place",
    "RetryingPersister",
    "connected",
    "opened_to_read",
    "written_down",
]
