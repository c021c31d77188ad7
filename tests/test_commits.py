import hashlib
import os
import random
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from burr.core import State
from burr.core.persistence import InMemoryPersister

import burr_lightning.commits.writing
from burr_lightning.commits import Checkpoints, Committer, StoredCommits
from burr_lightning.commits.checkpoints import CheckpointName, to_prune
from burr_lightning.commits.files import is_whole, sha256, write_durably
from burr_lightning.commits.rng import generator_states, rng_state, set_generator_states, set_rng_state
from burr_lightning.commits.run_files import RunFiles
from burr_lightning.commits.snapshot import Snapshot
from burr_lightning.errors import CommitError, RunLockedError
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


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"keep_last": 0}, "keep_last must be 1 or more"),
        ({"keep_last": -1}, "keep_last must be 1 or more"),
        ({"keep_best": -1}, "keep_best must be 0 or more"),
        ({"every_n_epochs": 0}, "every_n_epochs must be 1 or more"),
        ({"every_n_steps": 0}, "every_n_steps must be 1 or more, or None"),
        ({"save_weights_only_best": True, "keep_best": 0}, "so keep_best must be 1 or more"),
    ],
)
def test_a_policy_that_could_not_be_followed_is_refused(options, rule):
    [(name, value), *_] = options.items()
    with pytest.raises(ValueError, match=rf"Checkpoints\(.*{name}={value}.*\): .*{rule}"):
        Checkpoints(**options)


def test_weights_alone_are_kept_of_the_best_and_full_checkpoints_of_the_newest():
    full = names(0, 1, 2, 3)
    weights = [name.of_weights() for name in full[:2]]
    keep = Checkpoints(keep_last=1, keep_best=1, save_weights_only_best=True)
    metric, values = MonitoredMetric("val_loss", "min"), {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}
    assert set(to_prune([*full, *weights], keep, metric, values)) == {*full[:3], weights[1]}
    assert set(to_prune(full, keep, metric, values)) == {*full[1:3]}


def test_a_checkpoint_from_inside_an_epoch_is_kept_until_there_is_a_newer_one():
    ended = names(0, 1)
    inside = [CheckpointName(commit=2, epoch=2, step=s, batch=s - 10) for s in (12, 15)]
    keep = Checkpoints(keep_last=1, keep_best=0)
    assert set(to_prune([*ended, *inside], keep, None, {})) == {ended[0], inside[0]}
    assert set(to_prune([*ended, *inside, *names(2)], keep, None, {})) == {*ended, *inside}


def test_a_checkpoints_name_says_its_age():
    name = CheckpointName(commit=12, epoch=4, step=128)
    assert str(name) == "epoch=00004-step=00000128-commit=0000012.ckpt"
    assert CheckpointName.parse(Path("a") / str(name)) == name
    assert CheckpointName.parse(Path("last.ckpt")) is None
    inside = CheckpointName(commit=12, epoch=5, step=150, batch=22)
    assert str(inside) == "epoch=00005-step=00000150-commit=0000012-batch=0000022.ckpt"
    assert str(name.of_weights()) == "epoch=00004-step=00000128-commit=0000012-weights.ckpt"
    for other in (inside, name.of_weights()):
        assert CheckpointName.parse(Path(str(other))) == other
    assert name < CheckpointName(commit=13, epoch=4, step=128)


def test_a_file_is_whole_or_absent(tmp_path):
    path = tmp_path / "file"
    digest = write_durably(path, lambda stream: [stream.write(b"wh"), stream.write(b"ole")])
    assert path.read_bytes() == b"whole"
    assert digest == sha256(path) == hashlib.sha256(b"whole").hexdigest()
    assert os.listdir(tmp_path) == ["file"]

    def torn(stream):
        stream.write(b"to")
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


def test_generators_that_objects_hold_go_on_where_they_were():
    class Noise(torch.utils.data.Dataset):
        def __init__(self):
            self.rng, self.old = np.random.default_rng(1), np.random.RandomState(1)

    module = torch.nn.Sequential(torch.nn.Linear(1, 1))
    module[0].own, module.system = random.Random(1), random.SystemRandom()
    loader = torch.utils.data.DataLoader(Noise(), sampler=[0], generator=torch.Generator())
    owners = {"module": module, "train": [loader], "nothing": None}

    def draw():
        numbers = [module[0].own.random(), loader.dataset.rng.random(), loader.dataset.old.rand()]
        return [*numbers, torch.rand(1, generator=loader.generator).item()]

    states = generator_states(owners)
    assert set(states) == {
        "module.0.own",
        "train.0.generator",
        "train.0.dataset.rng",
        "train.0.dataset.old",
    }
    drawn = draw()
    assert draw() != drawn
    set_generator_states(owners, states)
    assert draw() == drawn


class Run:
    """A run without a trainer: its commits, made by hand."""

    def __init__(self, path, keep=None):
        self.folder = RunFolder(path, "project", "run")
        self.folder.create()
        self.persister = InMemoryPersister()
        self.keep = keep or Checkpoints(keep_last=2, keep_best=0)
        self.committer = Committer(RunFiles(self.folder), self.rows(), self.keep)
        self.state = State(initial_state({}, "val_loss", None))

    def rows(self):
        return StateRows(self.persister, "project", "run")

    def reopened(self):
        return StoredCommits(RunFiles(self.folder), self.rows())

    def epoch(self, epoch, loss, weights=None):
        report = PhaseReport(epoch, 0, 9, epoch, {"val_loss": loss}, ends_epoch=True)
        self.state = recorded(self.state, report)
        content = {
            "weights": torch.tensor([epoch]) if weights is None else weights,
            "optimizer_states": [epoch],
        }
        self.committer.commit(2 * epoch, "validate", self.state, content)
        self.state = self.committer.named(self.state)

    def batch(self, batch):
        epoch = self.state["epoch"] + 1
        place = {"epoch": epoch, "batch": batch, "first_batch": 0}
        content = {"weights": torch.tensor([epoch, batch]), "global_step": 100 * epoch + batch}
        self.committer.commit_inside_epoch(2 * epoch - 2, "validate", self.state, content, place)

    def on_disk(self):
        return sorted(int(path.name[6:11]) for path in self.folder.checkpoints.iterdir())


def weights_of(point):
    return torch.load(point.checkpoint)["weights"].tolist()


def test_what_the_newest_row_names_is_whole_and_older_ones_are_pruned(tmp_path):
    run = Run(tmp_path)
    for epoch, loss in enumerate([0.5, 0.4, 0.6, 0.7]):
        run.epoch(epoch, loss)
    assert run.on_disk() == [2, 3]
    point = run.reopened().resume_point()
    assert weights_of(point) == [3]
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
    assert torch.load(run.folder.path / best["checkpoint"])["weights"].tolist() == [1]


def test_the_best_can_be_kept_without_the_optimizers(tmp_path):
    run = Run(tmp_path, Checkpoints(keep_last=1, keep_best=1, save_weights_only_best=True))
    for epoch, loss in enumerate([0.5, 0.4, 0.6, 0.7]):
        run.epoch(epoch, loss)
    best = torch.load(run.folder.path / run.state["best"]["checkpoint"])
    assert best == {"weights": torch.tensor([1])}
    assert run.on_disk() == [1, 3]
    assert weights_of(run.reopened().resume_point()) == [3]


@pytest.mark.parametrize(("damage", "said"), [("flip", "is damaged"), ("delete", "is missing")])
def test_a_damaged_or_deleted_checkpoint_falls_back_to_the_one_before(tmp_path, damage, said):
    run = Run(tmp_path)
    for epoch in range(3):
        run.epoch(epoch, 0.5)
    newest = run.folder.path / run.state["checkpoint"]["path"]
    flip(newest) if damage == "flip" else newest.unlink()
    point = run.reopened().resume_point()
    assert point.row.state["epoch"] == 1
    assert point.newest_sequence_id == 4
    assert point.skipped == (f"epoch 2: {run.state['checkpoint']['path']} {said}",)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_commit_inside_an_epoch_is_gone_on_from_until_the_epoch_ends(tmp_path):
    run = Run(tmp_path)
    run.epoch(0, 0.5)
    for batch in (5, 9):
        run.batch(batch)
    point = run.reopened().resume_point()
    assert weights_of(point) == [1, 9]
    checkpoint = point.row.state["checkpoint"]
    assert (checkpoint["epoch"], checkpoint["batch"], checkpoint["first_batch"]) == (1, 9, 0)
    assert (point.row.state["epoch"], point.row.position) == (0, "validate")
    assert run.on_disk() == [0, 1]
    run.epoch(1, 0.4)
    assert weights_of(run.reopened().resume_point()) == [1]
    assert run.on_disk() == [0, 1]
    assert not list(run.folder.path.glob("partial.json"))


def test_a_damaged_commit_inside_an_epoch_falls_back_to_the_end_of_the_epoch_before(tmp_path):
    run = Run(tmp_path)
    run.epoch(0, 0.5)
    run.batch(5)
    flip(next(run.folder.checkpoints.glob("*-batch=*")))
    point = run.reopened().resume_point()
    assert weights_of(point) == [0]
    assert len(point.skipped) == 1


def test_what_no_row_names_is_removed_before_a_run_goes_on(tmp_path):
    run = Run(tmp_path)
    run.epoch(0, 0.5)
    run.batch(5)
    torn = run.folder.checkpoints / ".epoch=1.ckpt.tmp"
    undone = [CheckpointName(4, 1, 9), CheckpointName(0, 1, 109, batch=9)]
    for path in [torn, *(run.folder.checkpoints / str(name) for name in undone)]:
        path.write_bytes(b"")
    stored = run.reopened()
    stored.go_on_from(stored.resume_point())
    assert sorted(path.name for path in run.folder.checkpoints.iterdir()) == [
        str(CheckpointName(0, 0, 0)),
        str(CheckpointName(0, 1, 105, batch=5)),
    ]


class Unwritable:
    """Stands for a full disk: it cannot be written."""

    def __reduce__(self):
        raise OSError("No space left on device")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_checkpoint_that_cannot_be_written_leaves_the_commit_before(tmp_path, asynchronous):
    run = Run(tmp_path, Checkpoints(asynchronous=asynchronous))
    run.epoch(0, 0.5)
    run.committer.settle(wait=True)
    before = run.committer.named(run.state)
    content = {"weights": torch.ones(10), "broken": Unwritable()}

    def commit():
        run.committer.commit(2, "validate", run.state, content)
        run.committer.settle(wait=True)

    with pytest.raises(CommitError, match="No space left on device"):
        commit()
    assert run.reopened().resume_point().row.state.get_all() == before.get_all()
    assert run.on_disk() == [0]


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


def test_an_asynchronous_commit_counts_when_its_file_is_whole(tmp_path, monkeypatch):
    go_on = threading.Event()
    saved = burr_lightning.commits.writing.save_tensors
    slow = lambda *arguments: (go_on.wait(), saved(*arguments))  # noqa: E731
    monkeypatch.setattr("burr_lightning.commits.writing.save_tensors", slow)
    run = Run(tmp_path, Checkpoints(asynchronous=True))
    weights = torch.tensor([1.0, 2.0])
    run.epoch(0, 0.5, weights)
    run.committer.commit(1, "best_model", run.state, None)
    weights += 100
    run.committer.settle(wait=False)
    assert run.reopened().resume_point() is None
    assert run.state["checkpoint"] is None
    go_on.set()
    run.committer.settle(wait=True)
    point = run.reopened().resume_point()
    assert weights_of(point) == [1.0, 2.0]
    assert point.row.position == "best_model"
    assert run.committer.named(run.state)["best"]["checkpoint"] == point.row.state["checkpoint"]["path"]


def test_a_snapshot_shares_what_is_shared_and_nothing_with_the_original():
    weights = torch.arange(6.0).reshape(2, 3)
    content = {"a": weights, "tied": [weights, weights[1]], "kept": {"n": 1}, "empty": torch.empty(0)}
    snapshot = Snapshot()
    copied = snapshot.take(content)
    weights += 1
    content["kept"]["n"] = 2
    assert copied["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert copied["kept"] == {"n": 1}
    copied["a"][1, 0] = 9
    assert copied["tied"][1].tolist() == [9, 4, 5]
    again = snapshot.take(content)
    assert again["a"].data_ptr() == copied["a"].data_ptr()


def test_a_snapshot_of_an_array_that_is_seen_through_several_tensors_has_all_of_it():
    array = np.arange(1000.0)
    seen = {"beginning": torch.from_numpy(array[:3]), "whole": torch.from_numpy(array)}
    copied = Snapshot().take(seen)
    assert copied["beginning"].tolist() == [0, 1, 2]
    assert copied["whole"].tolist() == array.tolist()


def test_a_snapshot_keeps_which_tensors_want_gradients():
    wants = torch.ones(2, requires_grad=True)
    copied = Snapshot().take({"wants": wants, "part of it": wants[0], "other": torch.ones(2)})
    assert [tensor.requires_grad for tensor in copied.values()] == [True, True, False]


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
