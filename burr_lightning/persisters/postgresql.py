"""Burr's PostgreSQL persister, on a connection that no failed statement leaves unusable."""

from __future__ import annotations

from typing import Any

import psycopg2
from burr.integrations.persisters.b_psycopg2 import PostgreSQLPersister
from psycopg2.extensions import parse_dsn

_OPTIONS = {"connect_timeout": "5", "tcp_user_timeout": "10000", "application_name": "burr_lightning"}
"""Seconds, milliseconds: a server that is gone is noticed; what the URL says of these counts."""


class PostgreSQLRows(PostgreSQLPersister):
    """Burr's PostgreSQL persister, which also knows the newest step of a run, and deletes all of one."""

    def newest_sequence_id(self, partition_key: str, app_id: str) -> int | None:
        """The newest step of a run that has a row."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT max(sequence_id) FROM {self.table_name} WHERE partition_key = %s AND app_id = %s",
                (partition_key, app_id),
            )
            newest: int | None = cursor.fetchone()[0]
        return newest

    def count_rows(self, partition_key: str, app_id: str) -> int:
        """How many rows a run has."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*) FROM {self.table_name} WHERE partition_key = %s AND app_id = %s",
                (partition_key, app_id),
            )
            count: int = cursor.fetchone()[0]
        return count

    def delete_rows(self, partition_key: str, app_id: str) -> None:
        """Delete all rows of a run, in one transaction."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {self.table_name} WHERE partition_key = %s AND app_id = %s",
                (partition_key, app_id),
            )


def open_postgresql(url: str) -> PostgreSQLRows:
    """Connect to a server; the table is made where there is none.

    Raises:
        psycopg2.Error: If it cannot be connected to.
    """
    rows = _connected(url)
    if not rows.is_initialized():
        try:
            rows.initialize()  # type: ignore[no-untyped-call]
        except (psycopg2.IntegrityError, psycopg2.errors.DuplicateTable):
            # Another process made the table in the same moment.
            rows.initialize()  # type: ignore[no-untyped-call]
    return rows


def read_postgresql(url: str) -> PostgreSQLRows | None:
    """Connect to a server to read from it, ``None`` where there is no table of rows.

    Raises:
        psycopg2.Error: If it cannot be connected to.
    """
    rows = _connected(url, readonly=True)
    return rows if rows.is_initialized() else None


def _connected(url: str, **session: Any) -> PostgreSQLRows:
    connection = psycopg2.connect(**{**_OPTIONS, **parse_dsn(url)})
    # Each statement is a transaction: none is left open between two epochs, and none left failed.
    connection.set_session(autocommit=True, **session)
    return PostgreSQLRows(connection)
