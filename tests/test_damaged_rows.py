"""Damaged, locked, full and lost databases: a run goes on, or says what to do, and nothing is overwritten."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from burr.core.persistence import InMemoryPersister
from lightning.pytorch import Callback
from test_rows import after_epochs

from burr_lightning import BurrCallback, Run, list_runs
from burr_lightning.cli import main
from burr_lightning.errors import LostRowsError, PersisterError, ResumeError, UnreadableRowError
from burr_lightning.persisters import PersisterUrl, connected, opened_to_read, retrying, sqlite
from burr_lightning.rows import StateRows
from burr_lightning.testing import ScriptedModule, scripted_loader

LOSSES = [0.9, 0.5, 0.7, 0.4]


@pytest.fixture
def fit(make_trainer: Any) -> Callable[..., BurrCallback]:
    def train(*callbacks: Any, max_epochs: int = 4, **options: Any) -> BurrCallback:
        burr = BurrCallback(**{"run_id": "a", "monitor": "val_loss", **options})
        trainer = make_trainer(burr, *callbacks, max_epochs=max_epochs)
        trainer.fit(ScriptedModule(val_loss=LOSSES), scripted_loader(), scripted_loader())
        return burr

    return train


@pytest.fixture
def database(fit: Any, own_home: Path) -> Path:
    """The database of a run of three epochs."""
    fit(max_epochs=3)
    return own_home / "runs" / "state.sqlite"


def contents(folder: Path) -> dict[str, str]:
    """The digest of every file, but for the lock, which says who had it last."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database " * 1000)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def cut_in_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def emptied_beside_its_log(path: Path) -> None:
    path.rename(f"{path}-wal")
    path.touch()


def malformed_page(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size - 4096)
        file.write(b"\xff" * 100)


@pytest.mark.parametrize(
    "damage", [garbage, cut_in_half, cut_in_a_page, emptied_beside_its_log, malformed_page]
)
def test_a_damaged_file_is_named_and_left_as_it_is(fit: Any, database: Path, damage: Any) -> None:
    whole = database.read_bytes()
    damage(database)
    before = contents(database.parent)
    with pytest.raises(
        PersisterError, match=r"The file is damaged\. It was left as it is, and no run"
    ) as raised:
        fit()
    assert (raised.value.store, raised.value.run_id) == (str(database), "a")
    assert str(database) in str(raised.value)
    assert "Restore it from a backup" in str(raised.value)
    assert contents(database.parent) == before

    Path(f"{database}-wal").unlink(missing_ok=True)
    database.write_bytes(whole)
    burr = fit()
    assert list(burr.history["val_loss"]) == LOSSES
    assert burr.run.status == "finished"


def test_who_looks_at_runs_is_told_of_a_damaged_file(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage(database)
    with pytest.raises(PersisterError, match="file is not a database"):
        Run.open("a")
    [run] = list_runs()
    assert (run.status, run.state) == ("finished", None)
    assert "file is not a database" in run.rows_error
    main(["runs"], standalone_mode=False)
    said = capsys.readouterr()
    assert "finished" in said.out
    assert "Not all rows can be read: Run 'a' cannot read its rows from" in said.err


@pytest.mark.parametrize("gone", ["deleted", "emptied", "folder moved", "another database"])
def test_a_run_without_its_rows_is_not_begun_anew(fit: Any, database: Path, gone: str) -> None:
    root, options = database.parent, {}
    if gone == "deleted":
        database.unlink()
    elif gone == "emptied":
        os.truncate(database, 0)
    elif gone == "folder moved":
        shutil.copytree(root / "lightning", root.parent / "elsewhere" / "lightning")
        options["root_dir"] = root = root.parent / "elsewhere"
    else:
        options["persister"] = f"sqlite:///{root}/another.db"
    before = contents(root / "lightning")
    with pytest.raises(
        LostRowsError, match=r"has checkpoints up to epoch 2 in .*has no row of the newest"
    ) as raised:
        fit(**options)
    assert raised.value.folder == str(root / "lightning" / "a")
    assert isinstance(raised.value, ResumeError)
    assert contents(root / "lightning") == before


def test_the_persister_of_before_is_named_where_another_has_no_rows(fit: Any, own_home: Path) -> None:
    fit(max_epochs=2, persister="sqlite:///first.db")
    with pytest.raises(LostRowsError, match=rf"was trained with persister='sqlite:///{own_home}/first.db'"):
        fit()
    assert fit(persister="sqlite:///first.db").state["epoch"] == 3


def test_rows_in_memory_that_are_gone_are_missed_too(fit: Any) -> None:
    fit(max_epochs=2, persister=InMemoryPersister())
    with pytest.raises(LostRowsError, match="its InMemoryPersister has no row of the newest"):
        fit(persister=InMemoryPersister())


def execute(database: Path, *statement: Any) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(*statement).fetchall()
        connection.commit()
    return found


def test_a_flipped_byte_in_the_newest_row_is_never_taken_for_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.db"
    opened = connected(PersisterUrl.of_file(path), "a")
    rows = StateRows(opened, "p", "a")
    states = list(after_epochs(3))
    for epoch, state in enumerate(states):
        rows.save(epoch, "validate", state.update(checkpoint={"path": f"{epoch}.ckpt", "sha256": "a" * 64}))
    opened.cleanup()
    whole = [
        StateRows(opened_to_read(PersisterUrl.of_file(path)), "p", "a").at(step).state for step in range(3)
    ]
    outcomes = {"as written": 0, "the row before": 0}
    with closing(sqlite3.connect(path)) as connection:
        [(text,)] = connection.execute("SELECT state FROM burr_state WHERE sequence_id = 2").fetchall()
        for position in range(len(text)):
            flipped = bytearray(text.encode())
            flipped[position] ^= 1 << position % 8
            connection.execute(
                "UPDATE burr_state SET state = CAST(? AS TEXT) WHERE sequence_id = 2", (bytes(flipped),)
            )
            connection.commit()
            reading = connected(PersisterUrl.of_file(path), "a")
            row = StateRows(reading, "p", "a").newest()
            reading.cleanup()
            same = row.sequence_id == 2
            assert row.state.get_all() == whole[row.sequence_id].get_all()
            assert row.sequence_id in (1, 2)
            outcomes["as written" if same else "the row before"] += 1
    assert outcomes["the row before"] > 0.95 * len(text)


def test_a_run_goes_on_from_the_commit_before_a_damaged_row_and_says_so(
    fit: Any, database: Path, capfd: Any, caplog: Any
) -> None:
    [(newest,)] = execute(database, "SELECT max(sequence_id) FROM burr_state")
    steps = execute(database, "SELECT sequence_id, position FROM burr_state ORDER BY 1")
    damaged = [step for step, position in steps if step >= 6]
    execute(database, "UPDATE burr_state SET state = replace(state, '\"epoch\": 2', '\"epoch\": 9')")
    assert Run.open("a").epoch == 1
    burr = fit()
    said = capfd.readouterr().err + caplog.text
    for step in damaged:
        assert f"the commit of step {step}: its row is damaged; it cannot be used" in said
    assert "goes on after epoch 1" in said
    assert list(burr.history["val_loss"]) == LOSSES
    assert list(Run.open("a").history["val_loss"]) == LOSSES
    assert min(step for (step,) in execute(database, "SELECT sequence_id FROM burr_state") if step > newest)
    assert Run.open("a").status == "finished"


def test_a_run_all_of_whose_rows_are_damaged_is_not_begun_anew(fit: Any, database: Path) -> None:
    execute(database, "UPDATE burr_state SET state = substr(state, 2)")
    with pytest.raises(
        UnreadableRowError, match=r"the row of step 7 in .* is damaged .*Restore the database"
    ) as raised:
        fit()
    assert (raised.value.sequence_id, raised.value.store) == (7, str(database))
    assert Run.open("a").state is None
    assert Run.open("a").rows_error == str(raised.value)


def test_what_is_damaged_is_told_in_one_line_however_many_rows_it_are(
    fit: Any, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    steps = [step for (step,) in execute(database, "SELECT sequence_id FROM burr_state ORDER BY 1")]
    execute(database, f"UPDATE burr_state SET state = substr(state, 2) WHERE sequence_id > {steps[0]}")
    caplog.clear()
    assert Run.open("a").epoch == -1
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"Run 'a': the row of step {steps[-1]} in {database} is damaged (")
    assert f", and {len(steps) - 2} before it. Restore the database" in told
    assert told.endswith("Meanwhile the row before is taken.")
    execute(database, f"UPDATE burr_state SET state = substr(state, 2) WHERE sequence_id = {steps[0]}")
    caplog.clear()
    assert f", and {len(steps) - 1} before it." in Run.open("a").rows_error
    assert [record.getMessage() for record in caplog.records] == [Run.open("a").rows_error]


def test_rows_are_ordered_by_step_whatever_their_clock_says(fit: Any, database: Path) -> None:
    execute(database, "UPDATE burr_state SET created_at = datetime('2030-01-01', -sequence_id || ' days')")
    run = Run.open("a")
    assert (run.epoch, run.position) == (2, "best_model")
    burr = fit()
    assert list(burr.history["val_loss"]) == LOSSES
    assert [step.epoch for step in burr.run.path if step.action == "train_epoch"] == [0, 1, 2, 3]


class AtEpoch(Callback):
    """Does something at the beginning of the third epoch."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        if trainer.current_epoch == 2:
            self.act()


class WhenMissed(logging.Handler):
    """Puts right what is wrong as soon as somebody says that it is."""

    def __init__(self, put_right: Callable[[], Any]) -> None:
        super().__init__(logging.WARNING)
        self.put_right = put_right
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        if len(self.said) == 1:
            self.put_right()

    def __enter__(self) -> WhenMissed:
        retrying.log.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        retrying.log.removeHandler(self)


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""


def test_training_waits_for_another_process_that_holds_the_database(
    fit: Any, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    holders: list[subprocess.Popen[str]] = []

    def lock() -> None:
        command = [sys.executable, "-c", HOLDER, str(own_home / "runs" / "state.sqlite")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        holders.append(subprocess.Popen(command, text=True, **pipes))
        assert holders[0].stdout.readline() == "locked\n"
        assert Run.open("a").epoch == 1

    with WhenMissed(lambda: holders[0].communicate("\n")) as handler:
        burr = fit(AtEpoch(lock))
    assert "database is locked" in handler.said[0]
    assert "works again" in handler.said[-1]
    assert list(burr.history["val_loss"]) == LOSSES
    assert burr.run.status == "finished"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is full soon."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    with open(folder / "filler", "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_training_waits_for_a_full_disk_to_be_cleared(fit: Any, small_disk: Path) -> None:
    url = f"sqlite:///{small_disk}/rows.db"
    with WhenMissed((small_disk / "filler").unlink) as handler:
        burr = fit(AtEpoch(lambda: fill(small_disk)), persister=url)
    assert "disk" in handler.said[0]
    assert list(burr.run.history["val_loss"]) == LOSSES


def fill_all(disk: Path) -> None:
    """Fill a disk, the room included that SQLite's log would give back when it is opened again."""
    with closing(sqlite3.connect(disk / "rows.db")) as beside:
        beside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    fill(disk)


def test_a_disk_that_stays_full_costs_the_epoch_and_no_more(
    fit: Any, small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retrying, "PATIENCE", 0.2)
    url = f"sqlite:///{small_disk}/rows.db"
    with pytest.raises(
        PersisterError, match=r"cannot write the row of step .*full.*commit is safe"
    ) as raised:
        fit(AtEpoch(lambda: fill_all(small_disk)), persister=url)
    run = Run.open("a")
    assert run.status == "failed"
    assert run.epoch == raised.value.step // 2 - 2
    assert f"The next start goes on after epoch {run.epoch}." in caplog.text
    (small_disk / "filler").unlink()
    assert list(fit(persister=url).history["val_loss"]) == LOSSES


def test_a_run_is_looked_at_where_nothing_can_be_written(fit: Any, small_disk: Path) -> None:
    fit(max_epochs=1, persister=f"sqlite:///{small_disk}/rows.db")
    assert os.listdir(small_disk) == ["rows.db"]
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert Run.open("a").epoch == 0
    assert os.listdir(small_disk) == ["rows.db"]


def test_whoever_looks_leaves_nothing_behind(fit: Any, database: Path) -> None:
    before = contents(database.parent)
    assert Run.open("a").epoch == 2
    assert contents(database.parent) == before
    database.unlink()
    assert Run.open("a").state is None
    assert not database.exists()
