"""Counting and deleting the rows of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar, runtime_checkable

from burr.core.persistence import BaseStatePersister

from ..errors import RowsNotDeletedError
from .opening import opened_to_read, opened_to_write
from .url import PersisterUrl

_Result = TypeVar("_Result")


@runtime_checkable
class _Deletes(Protocol):
    def count_rows(self, partition_key: str, app_id: str) -> int: ...

    def delete_rows(self, partition_key: str, app_id: str) -> None: ...

    def cleanup(self) -> None: ...


def count_rows(url: PersisterUrl, project: str, run_id: str) -> int:
    """How many rows a run has; where there is no table of rows, none is made.

    Raises:
        RowsNotDeletedError: If the store cannot be read.
    """
    return _asked(url, run_id, opened_to_read, lambda rows: rows.count_rows(project, run_id)) or 0


def delete_rows(url: PersisterUrl, project: str, run_id: str) -> None:
    """Delete all rows of a run.

    Raises:
        RowsNotDeletedError: If the store cannot be written.
    """
    _asked(url, run_id, opened_to_write, lambda rows: rows.delete_rows(project, run_id))


def _asked(
    url: PersisterUrl,
    run_id: str,
    opens: Callable[[PersisterUrl], BaseStatePersister],
    work: Callable[[_Deletes], _Result],
) -> _Result | None:
    with _told(url, run_id):
        persister = opens(url)
        if not isinstance(persister, _Deletes):  # what stands for a table that is not there
            return None
        try:
            return work(persister)
        finally:
            persister.cleanup()


@contextmanager
def _told(url: PersisterUrl, run_id: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each kind of persister has errors of its own
        said = url.hide(f"{type(error).__name__}: {' '.join(str(error).split())}")
        # What a driver says may hold the password, and a traceback would print it.
        raise RowsNotDeletedError(run_id, str(url), said) from None
