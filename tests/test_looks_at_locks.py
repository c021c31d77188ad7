"""Who only looks whether a run or a job is held, and is stopped while it looks, makes nobody fail."""

import fcntl
import time
from types import SimpleNamespace

import pytest

from burr_lightning import locks
from burr_lightning.errors import RunLockedError
from burr_lightning.locks import RunLock
from burr_lightning.scheduling import lease


@pytest.fixture
def look(tmp_path):
    """A look that has begun, at the file `lock`."""
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file


@pytest.fixture
def ends_when_waited_for(look, monkeypatch):
    """Whoever waits for a lock lets the look go on, which is all that it needs."""
    clock = SimpleNamespace(**{**vars(time), "sleep": lambda seconds: look.close()})
    for module in (locks, lease):
        monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(module, "_PATIENCE", -1.0)  # none is left for one that holds it


@pytest.mark.usefixtures("ends_when_waited_for")
def test_a_run_begins_after_the_look(tmp_path):
    with RunLock(tmp_path / "lock", "a") as lock:
        assert lock.held


@pytest.mark.usefixtures("ends_when_waited_for")
def test_a_job_begins_after_the_look(tmp_path):
    held = lease.taken(tmp_path / "lock")
    assert held is not None
    held.let_go()


@pytest.mark.usefixtures("look")
def test_a_look_that_never_ends_is_not_waited_for_for_ever(tmp_path, monkeypatch):
    for module in (locks, lease):
        monkeypatch.setattr(module, "_PATIENCE_WITH_LOOKS", 0.0)
    with pytest.raises(RunLockedError):
        RunLock(tmp_path / "lock", "a").acquire()
    assert lease.taken(tmp_path / "lock") is None
