"""Burr's Redis persister, with each row written in one transaction."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

import redis
from burr.core import State
from burr.integrations.persisters.b_redis import RedisBasePersister

_SECONDS = {"socket_connect_timeout": 5.0, "socket_timeout": 10.0}
"""How long a server may keep silent; what the URL says of these counts."""


class RedisRows(RedisBasePersister):
    """Burr's Redis persister, which writes a row and the number of the newest row together.

    Burr's own writes the one after the other: between them, a run would be resumed before a row that
    is there already.
    """

    def save(
        self,
        partition_key: str | None,
        app_id: str,
        sequence_id: int,
        position: str,
        state: State[Any],
        status: Literal["completed", "failed"],
        **kwargs: Any,
    ) -> None:
        """Write a row.

        Raises:
            ValueError: If the step has one.
        """
        key = self.create_key(app_id, partition_key, sequence_id)  # type: ignore[no-untyped-call]
        row = {
            "partition_key": partition_key,
            "app_id": app_id,
            "sequence_id": sequence_id,
            "position": position,
            "state": json.dumps(state.serialize(**self.serde_kwargs)),
            "status": status,
            "created_at": datetime.now(UTC).isoformat(),
        }
        with self.connection.pipeline(transaction=True) as transaction:
            transaction.watch(key)
            if transaction.exists(key):
                raise ValueError(f"{key} already exists")
            transaction.multi()
            transaction.hset(key, mapping=row)
            transaction.zadd(str(partition_key), {app_id: sequence_id})
            transaction.execute()

    def newest_sequence_id(self, partition_key: str, app_id: str) -> int | None:
        """The newest step of a run that has a row."""
        newest = self.connection.zscore(partition_key, app_id)
        return None if newest is None else int(newest)

    def count_rows(self, partition_key: str, app_id: str) -> int:
        """How many rows a run has."""
        keys = self._keys(partition_key, app_id)
        return int(self.connection.exists(*keys)) if keys else 0

    def delete_rows(self, partition_key: str, app_id: str) -> None:
        """Delete all rows of a run, and the number of its newest one, in one transaction."""
        keys = self._keys(partition_key, app_id)
        if not keys:
            return
        with self.connection.pipeline(transaction=True) as transaction:
            transaction.delete(*keys)
            transaction.zrem(partition_key, app_id)
            transaction.execute()

    def _keys(self, partition_key: str, app_id: str) -> list[str]:
        """The keys that the rows of a run may have, not those of all that is in the database."""
        newest = self.newest_sequence_id(partition_key, app_id)
        # Burr's own persister may have been killed between a row and the number of the newest.
        steps = range(newest + 2) if newest is not None else range(0)
        return [self.create_key(app_id, partition_key, step) for step in steps]  # type: ignore[no-untyped-call]


def open_redis(url: str) -> RedisRows:
    """Connect to a server.

    Raises:
        redis.RedisError: If it cannot be connected to.
    """
    rows = RedisRows(redis.Redis.from_url(url, **_SECONDS))
    rows.connection.ping()
    return rows
