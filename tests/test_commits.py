import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from burr.core import State
from burr.core.persistence import InMemoryPersister

from burr_lightning.commits import Checkpoints, Committer
from burr_lightning.commits.checkpoints import CheckpointName, to_prune
from burr_lightning.commits.files import is_whole, sha256, write_durably
from burr_lightning.commits.rng import rng_state, set_rng_state
from burr_lightning.errors import RunLockedError
from burr_lightning.layout import RunFolder
from burr_lightning.locks import RunLock, is_held
from burr_lightning.metric import MonitoredMetric
from burr_lightning.rows import StateRows
from burr_lightning.state import PhaseReport, initial_state, recorded


def names(*epochs):
    return [CheckpointName(commit=epoch * 2, epoch=epoch, step=epoch * 10) for epoch in epochs]


@pytest.mark.parametrize(
    ("last", "best", "mode", "values", "kept"),
    [
        (1, 0, "min", {}, [4]),
        (2, 1, "min", {0: 0.5, 1: 0.1, 2: 0.3, 3: 0.4, 4: 0.6}, [1, 3, 4]),
        (1, 2, "max", {0: 0.5, 1: 0.1, 2: 0.3, 3: 0.4, 4: 0.2}, [0, 3, 4]),
        (1, 1, "min", {0: float("nan"), 3: 0.4}, [3, 4]),
        (1, 1, "min", {1: 0.2, 3: 0.2}, [1, 4]),
        (1, 3, None, {}, [4]),
        (9, 0, "min", {}, [0, 1, 2, 3, 4]),
    ],
)
def test_retention_keeps_the_newest_and_the_best(last, best, mode, values, kept):
    metric = MonitoredMetric("val_loss", mode) if mode else None
    pruned = to_prune(names(0, 1, 2, 3, 4), Checkpoints(last, best), metric, values)
    assert sorted({0, 1, 2, 3, 4} - {name.epoch for name in pruned}) == kept


@pytest.mark.parametrize(("last", "best"), [(0, 1), (-1, 1), (1, -1)])
def test_a_retention_that_could_not_be_resumed_is_refused(last, best):
    with pytest.raises(ValueError, match=rf"Checkpoints\(keep_last={last}, keep_best={best}\): keep_"):
        Checkpoints(last, best)


def test_a_checkpoints_name_says_its_age():
    name = CheckpointName(commit=12, epoch=4, step=128)
    assert str(name) == "epoch=00004-step=00000128-commit=0000012.ckpt"
    assert CheckpointName.parse(Path("a") / str(name)) == name
    assert CheckpointName.parse(Path("last.ckpt")) is None
    assert name < CheckpointName(commit=13, epoch=4, step=128)


def test_a_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "file"
    digest = write_durably(path, lambda temporary: temporary.write_bytes(b"whole"))
    assert path.read_bytes() == b"whole"
    assert digest == sha256(path)
    assert os.listdir(tmp_path) == ["file"]

    def torn(temporary):
        temporary.write_bytes(b"to")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_durably(path, torn)
    assert path.read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["file"]
    path.write_bytes(b"wholE")
    assert not is_whole(path, digest)
    path.unlink()
    assert not is_whole(path, digest)


def test_the_generators_go_on_where_they_were():
    def draw():
        return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(1).item()

    random.gauss(0, 1)
    np.random.randn()
    state = rng_state()
    drawn = draw()
    draw()
    set_rng_state(state)
    assert draw() == drawn


class Run:
    """A run without a trainer: its commits, made by hand."""

    def __init__(self, path, keep=None):
        self.folder = RunFolder(path, "project", "run")
        self.folder.create()
        self.persister = InMemoryPersister()
        self.keep = keep or Checkpoints(keep_last=2, keep_best=0)
        self.committer = self.reopened()
        self.state = State(initial_state({}, "val_loss", None))

    def reopened(self):
        return Committer(self.folder, StateRows(self.persister, "project", "run"), self.keep)

    def epoch(self, epoch, loss):
        report = PhaseReport(epoch, 0, 9, epoch, {"val_loss": loss}, ends_epoch=True)
        self.state = recorded(self.state, report)
        write = lambda path: path.write_bytes(f"weights {epoch}".encode())  # noqa: E731
        self.state = self.committer.commit(2 * epoch, "validate", self.state, write)

    def on_disk(self):
        return sorted(int(path.name[6:11]) for path in self.folder.checkpoints.iterdir())


def test_what_the_newest_row_names_is_whole_and_older_ones_are_pruned(tmp_path):
    run = Run(tmp_path)
    for epoch, loss in enumerate([0.5, 0.4, 0.6, 0.7]):
        run.epoch(epoch, loss)
    assert run.on_disk() == [2, 3]
    point = run.reopened().resume_point()
    assert point.checkpoint.read_bytes() == b"weights 3"
    assert point.row.state["checkpoint"]["epoch"] == 3
    assert point.newest_sequence_id == 6
    assert point.skipped == ()


def test_the_best_checkpoint_is_kept_and_named(tmp_path):
    run = Run(tmp_path, Checkpoints(keep_last=1, keep_best=1))
    for epoch, loss in enumerate([0.5, 0.4, 0.6, 0.7]):
        run.epoch(epoch, loss)
    assert run.on_disk() == [1, 3]
    best = run.state["best"]
    assert (best["epoch"], best["value"]) == (1, 0.4)
    assert (run.folder.path / best["checkpoint"]).read_bytes() == b"weights 1"


@pytest.mark.parametrize(("damage", "said"), [("flip", "is damaged"), ("delete", "is missing")])
def test_a_damaged_or_deleted_checkpoint_falls_back_to_the_one_before(tmp_path, damage, said):
    run = Run(tmp_path)
    for epoch in range(3):
        run.epoch(epoch, 0.5)
    newest = run.folder.path / run.state["checkpoint"]["path"]
    newest.write_bytes(b"Weights 2") if damage == "flip" else newest.unlink()
    point = run.reopened().resume_point()
    assert point.row.state["epoch"] == 1
    assert point.newest_sequence_id == 4
    assert point.skipped == (f"epoch 2: {run.state['checkpoint']['path']} {said}",)


def test_a_checkpoint_that_cannot_be_written_leaves_the_commit_before(tmp_path):
    run = Run(tmp_path)
    run.epoch(0, 0.5)
    before = run.state

    def fail(path):
        path.write_bytes(b"to")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run.committer.commit(2, "validate", run.state, fail)
    assert run.reopened().resume_point().row.state.get_all() == before.get_all()


def test_a_row_that_cannot_be_written_deletes_nothing(tmp_path, monkeypatch):
    run = Run(tmp_path, Checkpoints(keep_last=1, keep_best=0))
    run.epoch(0, 0.5)

    def fail(*arguments, **options):
        raise OSError("the database is gone")

    monkeypatch.setattr(run.persister, "save", fail)
    with pytest.raises(OSError, match="the database is gone"):
        run.epoch(1, 0.4)
    assert run.on_disk() == [0, 1]
    assert run.reopened().resume_point().row.state["epoch"] == 0


def test_two_owners_are_one_too_many_and_the_error_names_the_first(tmp_path):
    first, second = RunLock(tmp_path / "lock", "run"), RunLock(tmp_path / "lock", "run")
    assert not is_held(tmp_path / "lock")
    first.acquire()
    assert is_held(tmp_path / "lock")
    with pytest.raises(RunLockedError, match=f"is being trained by process {os.getpid()} on ") as error:
        second.acquire()
    assert str(os.getpid()) in error.value.holder
    first.release()
    assert not is_held(tmp_path / "lock")
    second.acquire()
    second.release()
