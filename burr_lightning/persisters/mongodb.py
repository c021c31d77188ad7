"""Burr's MongoDB persister, with one row for each step, and a row that is there when it says so."""

from __future__ import annotations

from typing import Any

from burr.integrations.persisters.b_pymongo import MongoDBBasePersister
from pymongo import MongoClient, ReadPreference, WriteConcern

DATABASE = "burr_lightning"
"""The database where the URL names none."""
COLLECTION = "burr_state"

_MILLISECONDS = {"serverSelectionTimeoutMS": 5000, "connectTimeoutMS": 5000, "socketTimeoutMS": 10000}
"""How long a server may keep silent; what the URL says of these counts."""


class MongoDBRows(MongoDBBasePersister):
    """Burr's MongoDB persister, which also knows the newest step of a run, and deletes all of one."""

    def __init__(self, client: MongoClient[Any]) -> None:
        database = client.get_default_database(DATABASE)
        super().__init__(client, database.name, COLLECTION)
        self.collection = self.collection.with_options(
            write_concern=WriteConcern("majority", j=True), read_preference=ReadPreference.PRIMARY
        )

    def initialize(self) -> None:
        """Make the index that keeps a step from having two rows."""
        keys = [("partition_key", 1), ("app_id", 1), ("sequence_id", -1)]
        self.collection.create_index(keys, unique=True)

    def newest_sequence_id(self, partition_key: str, app_id: str) -> int | None:
        """The newest step of a run that has a row."""
        of_run = {"partition_key": partition_key, "app_id": app_id}
        newest = self.collection.find_one(of_run, {"sequence_id": 1}, sort=[("sequence_id", -1)])
        return newest["sequence_id"] if newest else None

    def count_rows(self, partition_key: str, app_id: str) -> int:
        """How many rows a run has."""
        of_run = {"partition_key": partition_key, "app_id": app_id}
        return sum(1 for _ in self.collection.find(of_run, {"sequence_id": 1}))

    def delete_rows(self, partition_key: str, app_id: str) -> None:
        """Delete all rows of a run."""
        self.collection.delete_many({"partition_key": partition_key, "app_id": app_id})

    def cleanup(self) -> None:
        """Close the connection; Burr's own asks for an attribute that it does not have."""
        self.client.close()


def open_mongodb(url: str) -> MongoDBRows:
    """Connect to a server.

    Raises:
        pymongo.errors.PyMongoError: If it cannot be connected to.
    """
    rows = read_mongodb(url)
    rows.initialize()
    return rows


def read_mongodb(url: str) -> MongoDBRows:
    """Connect to a server to read from it.

    Raises:
        pymongo.errors.PyMongoError: If it cannot be connected to.
    """
    said = url.partition("?")[2].lower()
    options: dict[str, Any] = {
        name: value for name, value in _MILLISECONDS.items() if f"{name.lower()}=" not in said
    }
    client: MongoClient[Any] = MongoClient(url, **options)
    try:
        client.admin.command("ping")
    except BaseException:
        client.close()
        raise
    return MongoDBRows(client)
