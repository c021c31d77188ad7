"""Checkpoints on a store that speaks S3: it is gone for a while, or for good, or refuses."""

from __future__ import annotations

import gc
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from copied import Fails, fit
from lightning.pytorch import Callback
from ports import free_port
from servers import PASSWORD, Server
from test_copies import here

from burr_lightning.commits import remote
from burr_lightning.errors import CopyError
from burr_lightning.persisters import retrying

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")
import fsspec

RUN = "s3://bucket/runs/lightning/a"


class S3:
    """moto's server in a process of its own; see `s3_server`."""

    def __init__(self) -> None:
        # A training stops it, and a thread that copies starts it again: each has to hear its own answer.
        self._told = threading.Lock()
        port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("s3_server.py")), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._hears()
        self.is_stopped = False
        self.options: dict[str, Any] = {
            "endpoint_url": f"http://127.0.0.1:{port}",
            "key": "burr",
            "secret": PASSWORD,
            "config_kwargs": {"retries": {"max_attempts": 0}},  # else the client tries for 10 s by itself
        }
        self.files = fsspec.filesystem("s3", **self.options)
        self.files.mkdir("bucket")

    def _hears(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() in ("started", "done")

    def _tell(self, command: str) -> None:
        assert self._process.stdin is not None
        with self._told:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
            self._hears()
            self.is_stopped = command == "stop"

    def stop(self) -> None:
        self._tell("stop")

    def start(self) -> None:
        self._tell("start")

    def checkpoints(self) -> list[str]:
        self.files.invalidate_cache()
        return sorted(path.rpartition("/")[2] for path in self.files.find(f"{RUN}/checkpoints"))

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    # s3fs works in a thread, and Burr's SQLite persister of a test before must not be collected there.
    gc.collect()
    server = S3()
    yield server
    server.close()


@pytest.fixture
def s3(server: S3) -> Iterator[S3]:
    yield server
    if server.is_stopped:
        server.start()
    server.files.invalidate_cache()
    if server.files.exists("bucket/runs"):
        server.files.rm("bucket/runs", recursive=True)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("uninterrupted")
    return fit(folder / "runs", folder, None)[1]


@pytest.fixture
def database(postgresql: Server) -> str:
    """A database that no other test has rows in."""
    import psycopg2

    connection = psycopg2.connect(postgresql.url)
    connection.autocommit = True
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE copies")
    return f"{postgresql.url.rpartition('/')[0]}/copies"


def test_with_rows_in_postgresql_nothing_of_the_first_machine_is_needed(
    tmp_path: Path, uninterrupted: str, s3: S3, database: str
) -> None:
    url = "s3://bucket/runs"
    with pytest.raises(ConnectionAbortedError):
        fit(tmp_path / "first", database, url, Fails(), options=s3.options)
    shutil.rmtree(tmp_path / "first")
    burr, weights = fit(tmp_path / "second", database, url, options=s3.options)
    assert weights == uninterrupted
    assert burr.run.verify().sound


class Stops(Callback):
    """Stops the store in the middle of an epoch."""

    def __init__(self, server: S3) -> None:
        self._server = server

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 2 and batch_idx == 1 and not self._server.is_stopped:
            self._server.stop()


class StartsWhenMissed(logging.Handler):
    """Starts the store as soon as somebody says that it does not answer."""

    def __init__(self, server: S3) -> None:
        super().__init__(logging.WARNING)
        self._server = server
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if len(self.said) == 1:
            self._server.start()

    def __enter__(self) -> StartsWhenMissed:
        remote.log.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        remote.log.removeHandler(self)


def written(folder: Path) -> bytes:
    """All that was written in a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_run_goes_on_on_another_machine_and_no_secret_is_written_down(
    s3: S3, tmp_path: Path, uninterrupted: str, asynchronous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"options": s3.options, "asynchronous": asynchronous}
    with pytest.raises(ConnectionAbortedError):
        fit(tmp_path / "first", tmp_path, "s3://bucket/runs", Fails(), **options)
    assert s3.checkpoints() == here(tmp_path / "first")
    burr, weights = fit(tmp_path / "second", tmp_path, "s3://bucket/runs", **options)
    assert weights == uninterrupted
    assert s3.checkpoints() == here(tmp_path / "second")
    stored = written(tmp_path) + b"".join(s3.files.cat(path) for path in s3.files.find(RUN))
    assert PASSWORD.encode() not in stored
    assert PASSWORD not in caplog.text + repr(burr.checkpoints)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_training_waits_for_a_store_that_comes_back(
    s3: S3, tmp_path: Path, uninterrupted: str, asynchronous: bool
) -> None:
    with StartsWhenMissed(s3) as handler:
        _, weights = fit(
            tmp_path / "runs",
            tmp_path,
            "s3://bucket/runs",
            Stops(s3),
            options=s3.options,
            asynchronous=asynchronous,
        )
    failed, works = handler.said
    assert f"to {RUN} (EndpointConnectionError" in failed
    assert "It is tried again for 20 s." in failed
    assert f"{RUN} works again, after" in works
    assert weights == uninterrupted
    assert s3.checkpoints() == here(tmp_path / "runs")


def test_a_store_that_stays_away_ends_the_run_which_goes_on_from_the_last_commit(
    s3: S3, tmp_path: Path, uninterrupted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "PATIENCE", 0.3)
    with pytest.raises(CopyError, match="The last commit is safe") as raised:
        fit(tmp_path / "first", tmp_path, "s3://bucket/runs", Stops(s3), options=s3.options)
    assert raised.value.url == RUN
    assert PASSWORD not in str(raised.value)
    s3.start()
    assert len(s3.checkpoints()) == 2
    _, weights = fit(tmp_path / "second", tmp_path, "s3://bucket/runs", options=s3.options)
    assert weights == uninterrupted


@pytest.mark.parametrize(
    ("url", "missing", "why"),
    [
        ("s3://typo/runs", (), "The specified bucket does not exist"),
        ("s3://bucket/runs", ("key", "secret"), "NoCredentialsError"),
    ],
)
def test_a_store_that_refuses_does_so_at_once_and_before_the_first_epoch(
    s3: S3, tmp_path: Path, url: str, missing: tuple[str, ...], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = {name: value for name, value in s3.options.items() if name not in missing}
    with pytest.raises(CopyError, match=why):
        fit(tmp_path / "runs", tmp_path, url, Fails(0), options=options)
    assert "It is tried again" not in caplog.text
    assert "typo" not in " ".join(s3.files.ls(""))
