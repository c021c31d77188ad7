"""Every persister carries a run: through a kill, a server that restarts, a file that is locked."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from burr.core.persistence import InMemoryPersister, SQLitePersister
from burr.integrations.persisters.b_psycopg2 import PostgreSQLPersister
from burr.integrations.persisters.b_redis import RedisBasePersister
from lightning.pytorch import Callback, seed_everything
from redis import Redis
from servers import PASSWORD, Server, stored_rows

from burr_lightning import BurrCallback, Run, list_runs
from burr_lightning.cli import main
from burr_lightning.errors import PersisterError
from burr_lightning.persisters import retrying
from burr_lightning.testing import ScriptedModule, scripted_loader

TESTS = Path(__file__).parent
ROW = 4096
SERVERS = ["postgresql", "redis"]


class Forks:
    """A process with everything imported that trains in forks of itself; see `training_forks`."""

    def __init__(self, folder: Path) -> None:
        self.clock = folder / "clock"
        self.clock.write_text("+0")
        path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": path}
        self.fakes_time = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
        if self.fakes_time is not None:
            environment["LD_PRELOAD"] = str(self.fakes_time)
            environment["FAKETIME_TIMESTAMP_FILE"] = str(self.clock)
            environment["FAKETIME_NO_CACHE"] = environment["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        self._process = subprocess.Popen(
            [sys.executable, TESTS / "training_forks.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
        )

    def train(self, root: Path, persister: str | None, *, run_id: str = "a", **job: Any) -> dict[str, Any]:
        """Train a run to its end, or to the epoch where it is killed."""
        self._write({"run_id": run_id, "root": str(root), "persister": persister, **job})
        pid = self._read()["pid"]
        answer = self._read()
        if "stopped_in" in answer:
            os.kill(pid, signal.SIGKILL)
        assert self._read() == {"over": True}
        assert "error" not in answer, answer
        return answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _write(self, job: dict[str, Any]) -> None:
        self._process.stdin.write((json.dumps(job) + "\n").encode())
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    made = Forks(tmp_path_factory.mktemp("forks"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def uninterrupted(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return forks.train(tmp_path_factory.mktemp("uninterrupted"), None)


@pytest.fixture(params=["default", "sqlite", *SERVERS, "mongodb", "mongodb_stand_in"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    if request.param == "default":
        return None
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/elsewhere/rows.db"
    return request.getfixturevalue(request.param).url


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = request.getfixturevalue(request.param)
    yield server
    if server.stopped:
        server.start()


def test_a_killed_run_goes_on_exactly_from_any_persister(
    forks: Forks, uninterrupted: dict[str, Any], url: str | None, tmp_path: Path
) -> None:
    run_id = tmp_path.name.replace("[", "-").replace("]", "")
    killed = forks.train(tmp_path / "runs", url, run_id=run_id, stop_at=2)
    assert killed == {"stopped_in": 2}
    run = Run.open(run_id, persister=url)
    assert (run.status, run.epoch, run.rows_error) == ("interrupted", 1, None)
    assert forks.train(tmp_path / "runs", url, run_id=run_id) == uninterrupted

    run = Run.open(run_id, persister=url)
    assert (run.status, run.epoch) == ("finished", 3)
    assert list(run.history["val_loss"]) == uninterrupted["val_loss"]
    assert (
        max(len(row) for row in stored_rows(url or f"sqlite:///{tmp_path}/runs/state.sqlite", run_id)) <= ROW
    )
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]


def test_a_clock_that_goes_back_a_day_at_every_epoch_changes_nothing(
    forks: Forks, uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    if forks.fakes_time is None:
        pytest.skip("faketime is not installed here (.ci/run installs it)")
    root = tmp_path / "runs"
    forks.train(root, None, stop_at=2, clock=True)
    assert forks.train(root, None, clock=True) == uninterrupted
    forks.clock.write_text("+0")
    written = [created for (created,) in rows_of(root, "created_at")]
    assert written != sorted(written)
    assert Run.open("a").epoch == 3


def rows_of(root: Path, column: str) -> list[tuple[Any, ...]]:
    with SQLitePersister(str(root / "state.sqlite")) as persister:
        return persister.connection.execute(
            f"SELECT {column} FROM burr_state ORDER BY sequence_id"
        ).fetchall()


class Raises(Callback):
    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        if trainer.current_epoch == 2:
            raise ConnectionAbortedError("the machine is wanted elsewhere")


def fit(make_trainer: Any, burr: BurrCallback, *callbacks: Any) -> BurrCallback:
    seed_everything(3, verbose=False)
    module = ScriptedModule(val_loss=[0.9, 0.5, 0.7, 0.4])
    trainer = make_trainer(burr, *callbacks, max_epochs=4)
    trainer.fit(module, scripted_loader(), scripted_loader())
    return burr


def opened_by_the_user(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if kind == "memory":
        return InMemoryPersister()
    if kind == "sqlite":
        any_thread = {"check_same_thread": False}  # that of the garbage collector closes it
        made = SQLitePersister(str(tmp_path / "own.db"), connect_kwargs=any_thread)
    elif kind == "postgresql":
        made = PostgreSQLPersister(psycopg2.connect(request.getfixturevalue(kind).url))
    else:
        return RedisBasePersister(Redis.from_url(request.getfixturevalue(kind).url))
    made.initialize()
    return made


@pytest.mark.parametrize("kind", ["memory", "sqlite", *SERVERS])
def test_a_persister_that_the_user_opened_carries_a_run_and_stays_open(
    make_trainer: Any, request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    persister = opened_by_the_user(kind, request, tmp_path)
    run_id = f"own-{kind}"
    with pytest.raises(ConnectionAbortedError):
        fit(make_trainer, BurrCallback(run_id=run_id, monitor="val_loss", persister=persister), Raises())
    assert Run.open(run_id, persister=persister).epoch == 1
    burr = fit(make_trainer, BurrCallback(run_id=run_id, monitor="val_loss", persister=persister))
    assert list(burr.history["val_loss"]) == [0.9, 0.5, 0.7, 0.4]
    assert burr.run.status == "finished"
    assert Run.open(run_id).state is None
    assert (
        f"its rows are in a {type(persister).__name__} that its script opened" in Run.open(run_id).rows_error
    )
    if hasattr(persister, "cleanup"):
        persister.cleanup()


class Stops(Callback):
    """Stops a server in the middle of an epoch, really."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == 2 and batch_idx == 1:
            self.server.stop()


class StartsWhenMissed(logging.Handler):
    """Starts the server as soon as somebody says that it does not answer."""

    def __init__(self, server: Server) -> None:
        super().__init__(logging.WARNING)
        self.server = server
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if len(self.said) == 1:
            self.server.start()

    def __enter__(self) -> StartsWhenMissed:
        retrying.log.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        retrying.log.removeHandler(self)


def test_training_waits_for_a_server_that_restarts(make_trainer: Any, server: Server) -> None:
    run_id = f"restarted-{server.name}"
    with StartsWhenMissed(server) as handler:
        burr = fit(
            make_trainer, BurrCallback(run_id=run_id, monitor="val_loss", persister=server.url), Stops(server)
        )
    failed, works = handler.said
    assert (
        f"Run '{run_id}': {server.url.replace(PASSWORD, '').replace(':@', '@').replace('//@', '//')}"
        in failed
    )
    assert "It is tried again for 20 s; the training waits." in failed
    assert "works again, after" in works
    assert PASSWORD not in failed + works
    assert burr.run.status == "finished"
    assert list(burr.run.history["val_loss"]) == [0.9, 0.5, 0.7, 0.4]


def test_a_server_that_stays_away_ends_the_run_which_goes_on_when_it_is_back(
    make_trainer: Any, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retrying, "PATIENCE", 0.3)
    run_id = f"away-{server.name}"
    with pytest.raises(PersisterError, match=r"The last commit is safe.* run the same script") as raised:
        fit(
            make_trainer, BurrCallback(run_id=run_id, monitor="val_loss", persister=server.url), Stops(server)
        )
    error = raised.value
    assert (error.run_id, error.step) == (run_id, 6)
    assert f"Run '{run_id}' cannot write the row of step 6 to {error.store}: {error.error}." in str(error)
    listed = {run.run_id: run for run in list_runs()}[run_id]
    assert (listed.status, listed.state) == ("failed", None)
    assert "cannot read its rows" in listed.rows_error
    assert PASSWORD not in caplog.text + str(error) + listed.rows_error

    server.start()
    assert Run.open(run_id, persister=server.url).epoch == 1
    burr = fit(make_trainer, BurrCallback(run_id=run_id, monitor="val_loss", persister=server.url))
    assert list(burr.history["val_loss"]) == [0.9, 0.5, 0.7, 0.4]
    assert burr.run.status == "finished"


def test_a_run_knows_its_server_but_not_the_password(
    make_trainer: Any,
    postgresql: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fit(make_trainer, BurrCallback(run_id="known", persister=postgresql.url))
    stored = json.loads(Path("runs/lightning/known/run.json").read_text())["persister"]
    assert stored == postgresql.url.replace(f":{PASSWORD}", "")
    run = Run.open("known")
    assert run.state is None
    assert "A password is not written down with the run" in run.rows_error
    assert [listed.epoch for listed in list_runs(persister=postgresql.url)] == [3]
    main(["show", "known"], standalone_mode=False)
    assert "cannot read its rows" in " ".join(capsys.readouterr().out.split())
    main(["show", "known", "--persister", postgresql.url], standalone_mode=False)
    assert "max_epochs=4 was reached" in capsys.readouterr().out
    monkeypatch.setenv("BURR_LIGHTNING_PERSISTER", postgresql.url)
    main(["runs"], standalone_mode=False)
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["known", "lightning", "finished", "3"]
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert Run.open("known").epoch == 3
