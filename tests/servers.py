"""Real servers for the tests: on loopback, on a free port, each stopped by the process that it is."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from mongo_stand_in import MongoStandIn
from ports import free_port
from pymongo import MongoClient
from redis import Redis

from burr_lightning.layout import DATABASE, home

PASSWORD = "s3cret-Pass"
_SECONDS = 600


class Server:
    """A server of the tests that can be stopped and started again with what it has stored.

    Args:
        name: What it is.
        command: Starts it in the foreground.
        answers: Raises until it answers.
        url: Where it is.
        user: Whom it runs as, ``None`` for the one who runs the tests.
        stop_signal: What ends it.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        answers: Callable[[], Any],
        url: str,
        *,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name, self.url = name, url
        self._command, self._answers, self._user, self._stop_signal = command, answers, user, stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=self._user
        )
        deadline = time.monotonic() + _SECONDS
        while (error := self._error()) is not None:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise error
            time.sleep(0.02)

    def _error(self) -> Exception | None:
        try:
            self._answers()
        except Exception as error:
            return error
        return None

    @property
    def stopped(self) -> bool:
        return self._process is None

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(self._stop_signal)
            self._process.wait(_SECONDS)
            self._process = None


@contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def postgresql_server() -> Iterator[Server]:
    """A PostgreSQL with a password; fsync is off, for no test cuts the power."""
    programs = _programs("postgres", *Path("/usr/lib/postgresql").glob("*/bin"))
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as folder:
        port, data, password = free_port(), Path(folder) / "data", Path(folder) / "password"
        password.write_text(PASSWORD)
        if user is not None:
            for path in (Path(folder), password):
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        initdb = [programs / "initdb", "--pgdata", data, "--username=burr", f"--pwfile={password}"]
        initdb += ["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, user=user)
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "off",
        }
        command = [str(programs / "postgres"), "-D", str(data)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        url = f"postgresql://burr:{PASSWORD}@127.0.0.1:{port}/postgres"
        server = Server(
            "postgresql",
            command,
            lambda: psycopg2.connect(url).close(),
            url,
            user=user,
            stop_signal=signal.SIGINT,
        )
        with running(server):
            yield server


@contextmanager
def redis_server() -> Iterator[Server]:
    """A Redis with a password, which keeps on disk what it says it has."""
    program = _programs("redis-server") / "redis-server"
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        options = {"port": port, "bind": "127.0.0.1", "requirepass": PASSWORD, "dir": folder}
        options |= {"appendonly": "yes", "appendfsync": "always", "save": ""}
        command = [
            str(program),
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        ]
        url = f"redis://:{PASSWORD}@127.0.0.1:{port}/0"

        def answers() -> None:
            with Redis.from_url(url, retry=None) as client:
                client.ping()

        with running(Server("redis", command, answers, url)) as server:
            yield server


@contextmanager
def mongodb_server() -> Iterator[Server]:
    """A MongoDB."""
    if shutil.which("mongod") is None:
        pytest.skip("mongod is not installed here: no package of Debian's, PyPI's or npm's brings it")
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        url = f"mongodb://127.0.0.1:{port}/runs"
        command = ["mongod", "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"]

        def answers() -> None:
            with MongoClient(url, serverSelectionTimeoutMS=500) as client:
                client.admin.command("ping")

        with running(Server("mongodb", command, answers, url)) as server:
            yield server


@contextmanager
def mongodb_stand_in() -> Iterator[MongoStandIn]:
    """What stands in for MongoDB where it cannot be had."""
    with MongoStandIn() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def rows_of(run_id: str) -> list[str]:
    """The state of each row of a run in the SQLite file that is beside runs by default."""
    return stored_rows(f"sqlite:///{home(None)}/{DATABASE}", run_id)


def stored_rows(url: str, run_id: str) -> list[str]:
    """The state of each row of a run, as the store holds it."""
    kind = url.partition("://")[0]
    if kind == "sqlite":
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            found = file.execute("SELECT state FROM burr_state WHERE app_id = ?", (run_id,)).fetchall()
        return [state for (state,) in found]
    if kind == "postgresql":
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT state::text FROM burr_state WHERE app_id = %s", (run_id,))
            return [state for (state,) in cursor.fetchall()]
    if kind == "redis":
        with Redis.from_url(url) as client:
            keys = client.scan_iter(match=f"lightning:{run_id}:*")
            return [client.hget(key, "state").decode() for key in keys]
    with MongoClient(url) as client:
        return [row["state"] for row in client.get_default_database()["burr_state"].find({"app_id": run_id})]


def _programs(name: str, *folders: Path) -> Path:
    """The folder of a server's programs; without them the tests that need it are skipped, with the reason."""
    for folder in sorted(folders, reverse=True):
        if (folder / name).exists():
            return folder
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here (.ci/run installs it)")
    return Path(found).resolve().parent
