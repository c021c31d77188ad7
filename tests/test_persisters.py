"""Rows in every persister: as they were written, in one transaction, from many processes at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from burr.core import State
from burr.integrations.persisters.b_redis import RedisBasePersister
from redis import Redis
from servers import PASSWORD, Server, stored_rows
from test_rows import after_epochs

from burr_lightning.errors import PersisterError
from burr_lightning.persisters import PersisterUrl, connected, opened_to_read
from burr_lightning.persisters.redis import RedisRows
from burr_lightning.persisters.sqlite import open_sqlite
from burr_lightning.rows import Row, StateRows
from burr_lightning.state import PhaseReport, initial_state, recorded

PROCESSES = 8


@pytest.fixture(params=["sqlite", "postgresql", "redis", "mongodb", "mongodb_stand_in"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rows.db"
    return request.getfixturevalue(request.param).url


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return request.node.name.translate({ord(sign): "-" for sign in "[]:/"})[:100]


@pytest.fixture
def rows_of() -> Iterator[Callable[[str, str], StateRows]]:
    """The rows of a run at a URL, on a connection of their own that is closed in the end."""
    opened = []

    def connect(url: str, run_id: str) -> StateRows:
        opened.append(connected(PersisterUrl.parse(url), run_id))
        return StateRows(opened[-1], "lightning", run_id)

    yield connect
    for persister in opened:
        persister.cleanup()


def looked_at(url: str, run_id: str) -> Row | None:
    """The newest row, as somebody reads it who looks at a run while it trains."""
    persister = opened_to_read(PersisterUrl.parse(url))
    try:
        return StateRows(persister, "lightning", run_id).newest()
    finally:
        if hasattr(persister, "cleanup"):
            persister.cleanup()


def test_a_run_comes_back_from_a_url_as_it_was_written(rows_of: Any, url: str, run_id: str) -> None:
    rows = rows_of(url, run_id)
    values = {"loss": 1e-7, "acc": float("nan"), "b": 1e300, "a": -0.0, "big": 1e22, "inf": float("inf")}
    directions: Any = {"loss": "min", "b": "max", "a": "max"}
    state = State(initial_state({"name": "é\n😀", "rate": 1e-5, "large": 10**400}, "loss", None))
    for epoch in range(20):
        report = PhaseReport(epoch, 0, 9, epoch, values, directions=directions, ends_epoch=True)
        state = recorded(state, report).update(checkpoint={"path": f"{epoch}.ckpt", "epoch": epoch})
        rows.save(3 * epoch, "validate", state)
    again = rows_of(url, run_id)
    newest = again.newest()
    assert (newest.sequence_id, newest.position) == (57, "validate")
    assert newest.state["history"] == state["history"]
    assert repr(newest.state.get_all()) == repr(rows.newest().state.get_all())
    assert {key: newest.state[key] for key in ("hparams", "best", "checkpoint", "epoch")} == {
        key: state[key] for key in ("hparams", "best", "checkpoint", "epoch")
    }
    assert again.at(30).state["epoch"] == 10
    assert again.at(31) is None
    assert [facts["epoch"] for _, facts in again.checkpoints()] == [*range(19, -1, -1)]
    assert rows_of(url, "another").newest() is None
    assert len(stored_rows(url, run_id)) == 20


def test_a_step_has_one_row_and_the_same_row_may_be_written_again(
    rows_of: Any, url: str, run_id: str
) -> None:
    first, *_, last = list(after_epochs(3))
    rows_of(url, run_id).save(4, "validate", first)
    rows_of(url, run_id).save(4, "validate", first)
    with pytest.raises(PersisterError, match="Another row of that step is there: does another process train"):
        rows_of(url, run_id).save(4, "validate", last)
    assert rows_of(url, run_id).newest().state["epoch"] == 0
    assert len(stored_rows(url, run_id)) == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "redis"])
def test_eight_processes_write_their_runs_at_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/rows.db" if kind == "sqlite" else request.getfixturevalue(kind).url
    if kind == "postgresql":
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS burr_state")
        connection.close()
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    runs = [f"eight-{number}" for number in range(PROCESSES)]
    command = [sys.executable, Path(__file__).with_name("row_writer.py"), url, "50", *runs]
    environment = {**os.environ, "PYTHONPATH": path}
    seen = [0]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as writers:
        while writers.poll() is None:
            if (row := looked_at(url, runs[0])) is not None:
                seen.append(row.sequence_id)
        said = writers.stderr.read()
    assert writers.returncode == 0, said
    assert seen == sorted(seen)
    for run_id in runs:
        row = looked_at(url, run_id)
        assert list(row.state["history"]["val_loss"]) == [1 / (epoch + 1) for epoch in range(50)]


def test_a_reply_that_is_lost_leaves_one_row(
    rows_of: Any, mongodb_stand_in: Any, run_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = rows_of(mongodb_stand_in.url, run_id)
    for epoch, state in enumerate(after_epochs(3)):
        mongodb_stand_in.lose_next_reply_to = "insert" if epoch == 1 else None
        rows.save(epoch, "validate", state)
    assert len(stored_rows(mongodb_stand_in.url, run_id)) == 3
    assert [step for step, _ in rows.checkpoints()] == [2, 1, 0]
    assert "connection closed" in caplog.text


def test_a_connection_that_the_server_ends_is_made_again(
    rows_of: Any, postgresql: Server, run_id: str
) -> None:
    rows = rows_of(postgresql.url, run_id)
    first, second = list(after_epochs(2))
    rows.save(0, "validate", first)
    assert rows.newest().sequence_id == 0
    with psycopg2.connect(postgresql.url) as other, other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid), state FROM pg_stat_activity "
            "WHERE application_name = 'burr_lightning' AND pid <> pg_backend_pid()"
        )
        ended = cursor.fetchall()
    other.close()
    assert ended
    assert {state for _, state in ended} == {"idle"}, "a transaction was left open between two rows"
    rows.save(1, "validate", second)
    assert rows.newest().sequence_id == 1


def test_a_row_of_redis_is_written_whole_or_not_at_all(redis: Server, run_id: str) -> None:
    with Redis.from_url(redis.url) as root:
        root.acl_setuser("half", enabled=True, passwords=["+half"], keys=["*"], commands=["+@all", "-zadd"])
        half = Redis.from_url(redis.url.replace(f":{PASSWORD}", "half:half"))
        [state] = after_epochs(1)
        left = {}
        for kind in (RedisBasePersister, RedisRows):
            with pytest.raises(Exception, match=r"(?i)no permissions"):
                kind(half).save("lightning", f"{run_id}-{kind.__name__}", 0, "validate", state, "completed")
            left[kind.__name__] = len(stored_rows(redis.url, f"{run_id}-{kind.__name__}"))
        half.close()
    assert left == {"RedisBasePersister": 1, "RedisRows": 0}


def test_a_copy_of_the_sqlite_file_without_its_log_lacks_only_rows_that_came_one_upon_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("burr_lightning.persisters.sqlite.monotonic", lambda: now)
    rows = open_sqlite(tmp_path / "state.sqlite")

    def copied_after(numbers: range) -> int | None:
        for number in numbers:
            rows.save("digits", "a", number, "train_epoch", State({"said": "x" * 1500}), "completed")
        copied = open_sqlite(shutil.copy(tmp_path / "state.sqlite", tmp_path / "copied.sqlite"))
        newest = copied.newest_sequence_id("digits", "a")
        copied.cleanup()
        return newest

    assert copied_after(range(1)) == 0
    newest = copied_after(range(1, 100))
    assert newest is not None
    assert newest >= 60
    now = 1.0
    assert copied_after(range(100, 101)) == 100
    rows.cleanup()
