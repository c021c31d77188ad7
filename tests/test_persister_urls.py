"""Which URLs of persisters there are, and what is never seen of them."""

from __future__ import annotations

import pickle
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from burr.core.persistence import InMemoryPersister
from test_rows import after_epochs

from burr_lightning import BurrCallback
from burr_lightning.errors import ArgumentError, MissingExtraError, PersisterError
from burr_lightning.persisters import PersisterUrl, connected, retrying
from burr_lightning.persisters.failures import Failure, kind_of

SECRET = "pa55-word"


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        (f"postgresql://u:{SECRET}@host:5432/db", "postgresql://u@host:5432/db"),
        (
            f"postgresql://u:{SECRET}@h1:1,h2:2/db?sslmode=require",
            "postgresql://u@h1:1,h2:2/db?sslmode=require",
        ),
        (f"postgres:///db?host=/run&user=u&password={SECRET}", "postgres:///db?host=/run&user=u"),
        (f"postgresql://u:{SECRET}%40@[::1]:5/d@b", "postgresql://u@[::1]:5/d@b"),
        (f"redis://:{SECRET}@host/1", "redis://host/1"),
        (f"rediss://u:{SECRET}@host:6379/1?ssl_cert_reqs=none", "rediss://u@host:6379/1?ssl_cert_reqs=none"),
        (f"mongodb://u:{SECRET}@a,b:2/db?replicaSet=r", "mongodb://u@a,b:2/db?replicaSet=r"),
        (f"mongodb+srv://u:{SECRET}@host/?tlsCertificateKeyFilePassword={SECRET}", "mongodb+srv://u@host/"),
        ("redis://localhost", "redis://localhost"),
    ],
)
def test_a_url_is_shown_and_kept_without_its_password(url: str, stored: str) -> None:
    parsed = PersisterUrl.parse(url)
    assert (parsed.text, parsed.stored, str(parsed)) == (url, stored, stored)
    assert SECRET not in repr(parsed)
    assert PersisterUrl.parse(stored).stored == stored
    assert SECRET not in parsed.hide(f'invalid dsn: unexpected "@" in URI: "{url}"')


def test_a_file_is_kept_by_its_whole_path(tmp_path: Path) -> None:
    assert PersisterUrl.parse("sqlite:///a/b.db").stored == f"sqlite:///{tmp_path}/a/b.db"
    assert PersisterUrl.parse("sqlite:////a/b.db").path == Path("/a/b.db")
    assert PersisterUrl.parse("sqlite:///~/b.db").path == tmp_path / "home" / "b.db"
    assert str(PersisterUrl.parse("sqlite:////a/b.db")) == "/a/b.db"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("rows.sqlite", "'rows.sqlite'"),
        ("", "''"),
        (f"mysql://u:{SECRET}@host/db", "'mysql://u@host/db'"),
        (f"u:{SECRET}@host/db", r"'\*\*\*@host/db'"),
        (f"postgresql://u:{SECRET}/x@host/db", r"'postgresql://\*\*\*'"),
        (f"postgresql://u:{SECRET}?x@host/db", r"'postgresql://\*\*\*'"),
        (f"redis://:{SECRET}#@host", r"'redis://\*\*\*'"),
        ("sqlite://rows.db", "'sqlite://rows.db'"),
        ("sqlite:///rows.db?timeout=5", r"'sqlite:///rows.db\?timeout=5'"),
    ],
)
def test_what_is_no_url_of_a_persister_is_refused_with_those_there_are(given: str, shown: str) -> None:
    with pytest.raises(ArgumentError, match=rf"BurrCallback\(persister={shown}\).*sqlite:///") as raised:
        BurrCallback(persister=given)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [
        ("postgresql://u:pw@host/db", "psycopg2", "postgresql"),
        ("rediss://host", "redis", "redis"),
        ("mongodb+srv://host/db", "pymongo", "mongodb"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    url: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        MissingExtraError, match=rf"pip install 'burr-lightning\[{extra}\]'.*redis://"
    ) as raised:
        BurrCallback(persister=url)
    assert (raised.value.package, raised.value.extra) == (package, extra)
    assert isinstance(raised.value, ImportError)
    copied = pickle.loads(pickle.dumps(raised.value))
    assert (str(copied), copied.extra) == (str(raised.value), extra)


def test_a_server_that_is_not_there_is_said_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PATIENCE", 0.0)
    for url in (
        f"postgresql://u:{SECRET}@127.0.0.1:1/db",
        f"postgresql://u:{SECRET}%zz@127.0.0.1:1/db",
        f"postgresql://u:{SECRET}@127.0.0.1:1/db?no_such_option=1",
        f"redis://:{SECRET}@127.0.0.1:1/0",
        f"mongodb://u:{SECRET}@127.0.0.1:1/db?serverSelectionTimeoutMS=10",
    ):
        persister = connected(PersisterUrl.parse(url), "a")
        with pytest.raises(
            PersisterError, match=r"Run 'a' cannot read its rows from \w+://u?@?127"
        ) as raised:
            persister.load("p", "a", None)
        shown = [raised.value, raised.value.__cause__, raised.value.error, raised.value.store]
        assert SECRET not in "".join(map(str, shown))
        assert raised.value.__suppress_context__


def test_a_wrong_password_is_not_tried_again(
    postgresql: Any, redis: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for url in (postgresql.url, redis.url):
        wrong = url.replace("s3cret-Pass", SECRET)
        with pytest.raises(PersisterError, match=r"(?i)password") as raised:
            connected(PersisterUrl.parse(wrong), "a").load("p", "a", None)
        assert SECRET not in str(raised.value)
    assert "tried again" not in caplog.text


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sqlite3.OperationalError("database is locked"), Failure.PASSING),
        (sqlite3.OperationalError("database or disk is full"), Failure.PASSING),
        (sqlite3.DatabaseError("file is not a database"), Failure.DAMAGE),
        (psycopg2.OperationalError("server closed the connection unexpectedly"), Failure.PASSING),
        (psycopg2.InterfaceError("connection already closed"), Failure.PASSING),
        (psycopg2.errors.InFailedSqlTransaction(), Failure.PASSING),
        (psycopg2.errors.InsufficientPrivilege("permission denied"), Failure.LASTING),
        (RuntimeError("Uninitialized persister: table 'x' does not exist."), Failure.LASTING),
        (ConnectionResetError(), Failure.PASSING),
        (RuntimeError("service unavailable"), Failure.PASSING),
        (TypeError("not JSON serializable"), Failure.OF_THE_CALLER),
        (ValueError("Circular reference detected"), Failure.OF_THE_CALLER),
    ],
)
def test_what_may_pass_is_told_from_what_does_not(error: Exception, kind: Failure) -> None:
    assert kind_of(error) is kind


class Fails(InMemoryPersister):
    """Fails for a while, before or after it has done what it was asked for."""

    def __init__(self, times: int, error: Exception, *, after: bool = False) -> None:
        super().__init__()
        self.times, self.error, self.after = times, error, after

    def save(self, *arguments: Any, **options: Any) -> None:
        self.times -= 1
        if self.times < 0 or self.after:
            super().save(*arguments, **options)
        if self.times >= 0:
            raise self.error


class Clock:
    """A clock that stands still but for those who wait."""

    def __init__(self) -> None:
        self.now, self.pauses = 1000.0, []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 3))
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(retrying, "time", SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep))
    return clock


def save(persister: InMemoryPersister) -> None:
    from burr_lightning.rows import StateRows

    for epoch, state in enumerate(after_epochs(2)):
        StateRows(connected(persister, "a"), "p", "a").save(epoch, "validate", state)


@pytest.mark.parametrize("after", [False, True])
def test_what_fails_for_a_while_is_done_once_with_growing_pauses(
    clock: Clock, caplog: pytest.LogCaptureFixture, after: bool
) -> None:
    persister = Fails(1 if after else 5, ConnectionError("gone"), after=after)
    save(persister)
    assert [row["sequence_id"] for row in persister._storage["p"]["a"]] == [0, 1]
    assert clock.pauses == ([0.1] if after else [0.1, 0.2, 0.4, 0.8, 1.6])
    first, last = [record.getMessage() for record in caplog.records]
    assert first == (
        "Run 'a': its Fails failed (ConnectionError: gone). It is tried again for 20 s; the training waits."
    )
    assert last == f"Run 'a': its Fails works again, after {sum(clock.pauses):.1f} s."


def test_trying_is_given_up_after_twenty_seconds(clock: Clock) -> None:
    persister = Fails(1000, ConnectionError("gone"))
    with pytest.raises(
        PersisterError, match=r"write the row of step 0 to its Fails: ConnectionError: gone\."
    ):
        save(persister)
    assert clock.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 7.3]


def test_an_error_of_the_program_is_raised_at_once_and_unchanged(clock: Clock) -> None:
    error = TypeError("Object of type Tensor is not JSON serializable")
    with pytest.raises(TypeError) as raised:
        save(Fails(1, error))
    assert raised.value is error
    assert clock.pauses == []
