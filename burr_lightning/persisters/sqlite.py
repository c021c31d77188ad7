"""Burr's SQLite persister on a file that many processes write, and that outlives a power cut."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from burr.core.persistence import SQLitePersister

BUSY_SECONDS = 5.0
"""How long SQLite itself waits for another process that is writing; the tries come on top of it."""


_SELDOM = 1.0
"""Seconds."""


class SQLiteRows(SQLitePersister):
    """Burr's SQLite persister, which also knows the newest step of a run, and deletes all of one."""

    connection: sqlite3.Connection
    _went_on = -_SELDOM

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Write a row; one that comes a second after others goes on from the log into the file itself."""
        super().save(*args, **kwargs)
        if monotonic() - self._went_on >= _SELDOM:
            self._went_on = monotonic()
            with suppress(sqlite3.OperationalError):  # the row is there, and goes on with the next one
                self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def newest_sequence_id(self, partition_key: str, app_id: str) -> int | None:
        """The newest step of a run that has a row."""
        found = self.connection.execute(
            f"SELECT max(sequence_id) FROM {self.table_name} WHERE partition_key = ? AND app_id = ?",
            (partition_key, app_id),
        )
        newest: int | None = found.fetchone()[0]
        return newest

    def count_rows(self, partition_key: str, app_id: str) -> int:
        """How many rows a run has."""
        found = self.connection.execute(
            f"SELECT count(*) FROM {self.table_name} WHERE partition_key = ? AND app_id = ?",
            (partition_key, app_id),
        )
        count: int = found.fetchone()[0]
        return count

    def delete_rows(self, partition_key: str, app_id: str) -> None:
        """Delete all rows of a run, in one transaction."""
        self.connection.execute(
            f"DELETE FROM {self.table_name} WHERE partition_key = ? AND app_id = ?", (partition_key, app_id)
        )


def open_sqlite(path: Path) -> SQLiteRows:
    """Open a SQLite file to write to; it is made where there is none.

    Raises:
        sqlite3.Error: If it cannot be opened, or is no database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_emptied(path)
    rows = _rows(path, "mode=rwc")
    try:
        _prepare(rows)
    except BaseException:
        rows.connection.close()
        raise
    return rows


def _prepare(rows: SQLiteRows) -> None:
    execute = rows.connection.execute
    if execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        execute("PRAGMA journal_mode=WAL").fetchone()
    execute("PRAGMA synchronous=FULL")
    # A row is flushed in the log. To go on into the file itself takes three flushes more: that is done with
    # each row where they come seldom, and else for about twenty rows together.
    execute("PRAGMA wal_autocheckpoint=64")
    # A damaged index can hide the newest rows without an error: about 2 s for each GB of rows tell.
    if (found := execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(found)
    if not rows.is_initialized():
        rows.initialize()  # type: ignore[no-untyped-call]


def read_sqlite(path: Path) -> SQLiteRows | None:
    """Open a SQLite file to read it, ``None`` where there is no table of rows in it.

    Raises:
        sqlite3.Error: If it is no database.
    """
    if not path.exists():
        return None
    _refuse_emptied(path)
    # A file of this kind is read with the help of others beside it. Where somebody has it open or was killed,
    # they are there and stay as they are. Where they are not, only who might write takes away again what
    # it made; and in a folder that cannot be written, nobody has the file open.
    alone, writable = not _log(path).exists(), os.access(path.parent, os.W_OK)
    how = "mode=ro" if not alone else "mode=rw" if writable else "mode=ro&immutable=1"
    rows = _rows(path, how)
    rows.connection.execute("PRAGMA query_only=ON")
    return rows if rows.is_initialized() else None


def _rows(path: Path, how: str) -> SQLiteRows:
    """The rows on a connection on which each statement is a transaction of its own."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?{how}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.text_factory = _text
    return SQLiteRows(str(path), connection=connection)


def _text(stored: bytes) -> str:
    """Text as it is stored; where it is damaged, this raises ValueError as damaged JSON does."""
    return stored.decode()


def _refuse_emptied(path: Path) -> None:
    """SQLite would take an empty file for a new one, and delete the rows that wait in the log beside it."""
    log = _log(path)
    if path.exists() and not path.stat().st_size and log.exists() and log.stat().st_size:
        raise sqlite3.DatabaseError(f"the file is empty, and {log.name} beside it is not")


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")
