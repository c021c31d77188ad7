"""Real faults, injected for real: afterwards the same script goes on, and ends as if nothing had happened."""

import os
import pkgutil
import signal
import subprocess
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import torch
from digits import DigitNet, digit_loaders
from forks import Child, tell
from lightning.pytorch import Callback, Trainer, seed_everything
from looks import ending

from burr_lightning import BurrCallback, Checkpoints, Run, list_runs
from burr_lightning.errors import (
    CommitError,
    DataChangedError,
    PersisterError,
    ResumeError,
    RunLockedError,
)

EPOCHS = 4
SAVE_ROW = "burr.core.persistence.SQLitePersister.save"


def train(*faults, module=DigitNet, samples=512, max_epochs=EPOCHS, run_id="a", checkpoints=None):
    """The script: it starts the run, or goes on with it."""
    seed_everything(1)
    burr = BurrCallback(run_id=run_id, monitor="val_loss", checkpoints=checkpoints)
    trainer = Trainer(
        max_epochs=max_epochs,
        callbacks=[*faults, burr],
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module(), *digit_loaders(samples))
    return trainer


def train_in_a_child(*faults, **options):
    """Train in a process of its own; its exit status, and what it told."""
    child = Child(partial(train, **options), *faults)
    messages = child.rest()
    return child.ended(), messages


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """How the run ends that nothing happens to."""
    home = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("BURR_LIGHTNING_HOME", str(home / "runs"))
        child = Child(train, log=home / "printed.log")
        assert child.ended() == 0, child.printed
        return ending(Run.open("a"))


@pytest.fixture(autouse=True)
def _one_thread_as_in_a_child():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def goes_on_and_ends_like(whole, **options):
    train(**options)
    assert ending(Run.open("a")) == whole
    left = list(Path(os.environ["BURR_LIGHTNING_HOME"]).rglob("*.tmp"))
    assert left == []


class At(Callback):
    """Does something once, at a place in an epoch that is given as the name of a hook."""

    def __init__(self, hook, action, epoch=1, batch=3):
        self._action, self._epoch, self._batch = action, epoch, batch
        setattr(self, hook, partial(self._at, hook))

    def _at(self, hook, trainer, pl_module, *arguments):
        if trainer.sanity_checking or trainer.current_epoch != self._epoch:
            return
        if hook.startswith("on_train_batch") and arguments[-1] != self._batch:
            return
        self._action()


class Tells(Callback):
    """Which batches were trained to their end."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        tell("batch", trainer.current_epoch, batch_idx)


# Signals


def sends(number):
    os.kill(os.getpid(), number)


def sends_many(number):
    """From another process, in quick succession: as an impatient user does."""
    subprocess.run(["sh", "-c", f"for i in 1 2 3 4 5; do kill -{number} {os.getpid()}; done"], check=True)


@pytest.mark.parametrize(
    ("hook", "epoch", "batch", "last"),
    [
        ("on_train_batch_start", 0, 0, (0, 0)),
        ("on_train_batch_start", 1, 3, (1, 3)),
        ("on_validation_batch_start", 1, None, (1, 7)),
        ("on_train_epoch_end", 1, None, (1, 7)),
        ("on_save_checkpoint", 1, None, (1, 7)),
        ("on_train_batch_start", 3, 7, (3, 7)),
    ],
)
def test_sigterm_lets_the_batch_end_and_the_run_goes_on(hook, epoch, batch, last, whole):
    status, told = train_in_a_child(Tells(), At(hook, partial(sends, signal.SIGTERM), epoch, batch))
    assert status == 128 + signal.SIGTERM
    assert told[-1] == ("batch", *last)
    run = Run.open("a")
    assert run.status == ("finished" if run.position == "best_model" else "interrupted")
    goes_on_and_ends_like(whole)


@pytest.mark.parametrize("sending", [sends, sends_many])
@pytest.mark.parametrize(
    "hook",
    ["on_train_batch_start", "on_validation_batch_start", "on_train_epoch_end", "on_save_checkpoint"],
)
def test_ctrl_c_once_or_often_is_an_interruption_and_the_run_goes_on(hook, sending, whole):
    status, _ = train_in_a_child(At(hook, partial(sending, signal.SIGINT.value)))
    assert status != 0
    assert Run.open("a").status == "interrupted"
    assert Run.open("a").epoch == 0
    goes_on_and_ends_like(whole)


class CtrlCAgain(Callback):
    """A second Ctrl-C, while the first one is dealt with."""

    def on_exception(self, trainer, pl_module, exception):
        sends_many(signal.SIGINT.value)


def test_ctrl_c_while_ctrl_c_is_dealt_with_changes_nothing(whole):
    first = At("on_train_batch_start", partial(sends, signal.SIGINT.value))
    status, _ = train_in_a_child(first, CtrlCAgain())
    assert status == 1
    assert Run.open("a").status == "interrupted"
    goes_on_and_ends_like(whole)


class BeforeCall:
    """Calls something before a function, given by its name, is called for the n-th time."""

    def __init__(self, name, action, times=1, patch=setattr):
        self._name, self._action, self._times, self._patch = name, action, times, patch

    def __call__(self):
        owner, name = self._name.rsplit(".", 1)
        original, calls = pkgutil.resolve_name(self._name), count(1)

        def call(*args, **kwargs):
            if next(calls) == self._times:
                self._action()
            return original(*args, **kwargs)

        self._patch(pkgutil.resolve_name(owner), name, call)


class Patches(Callback):
    """Puts something in the way when the second epoch begins."""

    def __init__(self, *patches):
        self._patches = patches

    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            for patch in self._patches:
                patch()


@pytest.mark.parametrize(
    ("name", "times"),
    [("os.fsync", 1), ("os.replace", 1), ("os.fsync", 2), (SAVE_ROW, 1), ("pathlib.Path.unlink", 1)],
)
@pytest.mark.parametrize("sending", [sends, sends_many])
def test_ctrl_c_inside_a_commit_leaves_a_whole_one(name, times, sending, whole):
    within = BeforeCall(name, partial(sending, signal.SIGINT.value), times)
    status, _ = train_in_a_child(Patches(within), checkpoints=Checkpoints(keep_last=1, keep_best=0))
    assert status != 0
    assert Run.open("a").status == "interrupted"
    goes_on_and_ends_like(whole, checkpoints=Checkpoints(keep_last=1, keep_best=0))


# Exceptions


def fails():
    raise ArithmeticError("a fault")


class FailingNet(DigitNet):
    """Fails in one of its own methods."""

    place = ""

    def _at(self, place, batch_idx, batch):
        if self.place == place and self.current_epoch == 1 and batch_idx == batch:
            fails()

    def training_step(self, batch, batch_idx):
        self._at("training_step", batch_idx, 3)
        return super().training_step(batch, batch_idx)

    def validation_step(self, batch, batch_idx):
        if not self.trainer.sanity_checking:
            self._at("validation_step", batch_idx, 1)
        super().validation_step(batch, batch_idx)

    def optimizer_step(self, epoch, batch_idx, optimizer, optimizer_closure):
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self._at("optimizer_step", batch_idx, 3)


@pytest.mark.parametrize("place", ["training_step", "validation_step", "optimizer_step"])
def test_an_exception_in_the_module_ends_the_run_and_it_goes_on(place, whole):
    with pytest.raises(ArithmeticError, match="a fault"):
        train(module=type("FailingNet", (FailingNet,), {"place": place}))
    assert Run.open("a").status == "failed"
    goes_on_and_ends_like(whole)


@pytest.mark.parametrize(
    "hook",
    [
        *("on_train_epoch_start", "on_train_batch_start", "on_train_batch_end", "on_validation_start"),
        *("on_validation_end", "on_train_epoch_end", "on_save_checkpoint", "on_before_optimizer_step"),
    ],
)
def test_an_exception_in_another_callback_ends_the_run_and_it_goes_on(hook, whole):
    with pytest.raises(ArithmeticError, match="a fault"):
        train(At(hook, fails))
    assert Run.open("a").status == "failed"
    goes_on_and_ends_like(whole)


# Disks


class Disk:
    """A small file system of its own."""

    def __init__(self, path):
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, left=0):
        """Fill it up, but for some bytes."""
        size = os.statvfs(self.path)
        free = size.f_bavail * size.f_frsize
        with open(self._ballast, "ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), max(1, free - left))

    def free(self):
        self._ballast.unlink()

    def mount(self, *options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(["size=8m", *options]), "none", str(self.path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def unmount(self):
        subprocess.run(["umount", "--lazy", str(self.path)], check=True, capture_output=True)


@pytest.fixture
def mounted():
    """Makes small disks: `mounted(path)`."""
    disks = []

    def mount(path):
        path.mkdir(parents=True)
        disk = Disk(path)
        tried = disk.mount()
        if tried.returncode != 0:
            pytest.skip(f"mounting a small file system is not permitted here: {tried.stderr.strip()}")
        disks.append(disk)
        return disk

    yield mount
    for disk in disks:
        disk.unmount()


@pytest.fixture
def disk(mounted, tmp_path, monkeypatch):
    """A small disk, with the runs on it."""
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "disk" / "runs"))
    return mounted(tmp_path / "disk")


@pytest.mark.parametrize("home_too", [False, True])
@pytest.mark.parametrize("left", [0, 20_000])
def test_a_disk_that_is_full_while_the_checkpoint_is_written(disk, left, home_too, monkeypatch, whole):
    if home_too:
        monkeypatch.setenv("HOME", str(disk.path / "home"))
    with pytest.raises(CommitError, match="No space left on device"):
        train(At("on_save_checkpoint", partial(disk.fill, left)))
    run = Run.open("a")
    assert run.epoch == 0
    assert run.status in ("failed", "interrupted")
    disk.free()
    goes_on_and_ends_like(whole)


def test_a_disk_that_is_full_while_the_row_is_written(disk, monkeypatch, whole):
    with monkeypatch.context() as patch:
        within = BeforeCall(SAVE_ROW, disk.fill, patch=patch.setattr)
        # The log of the database may still have room for a row; the next checkpoint has none.
        with pytest.raises((PersisterError, CommitError), match=r"full|No space left"):
            train(Patches(within))
    disk.free()
    assert Run.open("a").epoch in (0, 1)
    goes_on_and_ends_like(whole)


def test_a_folder_that_cannot_be_written_is_an_error_and_the_run_goes_on(mounted, tmp_path, whole):
    disk = mounted(tmp_path / "runs" / "lightning" / "a" / "checkpoints")

    def read_only():
        assert disk.mount("remount", "ro").returncode == 0

    with pytest.raises(CommitError, match="Read-only file system"):
        train(At("on_train_epoch_end", read_only))
    assert disk.mount("remount", "rw").returncode == 0
    assert Run.open("a").epoch == 0
    goes_on_and_ends_like(whole)


# Damage


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(bytes(data))


def empty(path):
    path.write_bytes(b"")


KEEP = Checkpoints(keep_last=3, keep_best=0)


@pytest.mark.parametrize("damage", [truncate, flip, empty, Path.unlink])
@pytest.mark.parametrize("newest", [1, 2])
def test_damaged_checkpoints_cost_their_epochs_and_nothing_else(damage, newest, caplog, whole):
    with pytest.raises(ArithmeticError):
        train(At("on_train_batch_start", fails, epoch=3), checkpoints=KEEP)
    for checkpoint in sorted((Run.open("a").folder / "checkpoints").iterdir())[-newest:]:
        damage(checkpoint)
    caplog.clear()
    train(checkpoints=KEEP)
    assert caplog.text.count("it cannot be used") == newest
    assert f"goes on after epoch {2 - newest}" in caplog.text
    found = ending(Run.open("a"))
    assert {**found, "path": None, "best": None} == {**whole, "path": None, "best": None}


def test_a_run_of_which_every_checkpoint_is_damaged_is_refused_until_one_is_back(whole):
    with pytest.raises(ArithmeticError):
        train(At("on_train_batch_start", fails, epoch=3), checkpoints=KEEP)
    checkpoints = sorted((Run.open("a").folder / "checkpoints").iterdir())
    for checkpoint in checkpoints:
        flip(checkpoint)
    with pytest.raises(ResumeError, match=r"has no commit that can be used.*start a new run") as error:
        train(NeverTrains(), checkpoints=KEEP)
    assert all(checkpoint.name in str(error.value) for checkpoint in checkpoints)
    flip(checkpoints[-1])
    goes_on_and_ends_like(whole, checkpoints=KEEP)


@pytest.mark.parametrize("torn", ["", '{"status": "fai', "null", "[]"])
@pytest.mark.parametrize("name", ["outcome.json", "run.json"])
def test_a_torn_file_about_a_run_keeps_it_from_nothing(name, torn, whole):
    with pytest.raises(ArithmeticError):
        train(At("on_train_batch_start", fails))
    (Run.open("a").folder / name).write_text(torn)
    if name == "outcome.json":
        assert Run.open("a").status == "interrupted"
        assert [run.run_id for run in list_runs()] == ["a"]
    goes_on_and_ends_like(whole)


# Other processes, other places


class Waits(Callback):
    """Stays inside an epoch until its process is killed."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.current_epoch == 1:
            tell("inside")
            signal.pause()


def test_a_second_process_is_refused_and_told_which_the_first_is(whole):
    first = Child(train, Waits())
    first.waits_for("inside")
    with pytest.raises(RunLockedError, match=f"process {first.pid} on"):
        train()
    assert Run.open("a").status == "running"
    first.kill()
    first.ended()
    assert Run.open("a").status == "interrupted"
    goes_on_and_ends_like(whole)


def test_runs_that_were_moved_go_on_where_they_are_now(tmp_path, monkeypatch, whole):
    with pytest.raises(ArithmeticError):
        train(At("on_train_batch_start", fails))
    (tmp_path / "runs").rename(tmp_path / "moved")
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "moved"))
    assert Run.open("a").epoch == 0
    goes_on_and_ends_like(whole)
    assert not (tmp_path / "runs").exists()


# Other scripts


class OtherShape(DigitNet):
    def __init__(self):
        super().__init__()
        self.network[0], self.network[3] = torch.nn.Linear(64, 48), torch.nn.Linear(48, 10)


class OtherOptimizer(DigitNet):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]


class TwoOptimizers(DigitNet):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def configure_optimizers(self):
        parameters = list(self.parameters())
        [optimizer], schedules = super().configure_optimizers()
        return [optimizer, torch.optim.Adam(parameters[2:], lr=1e-3)], schedules


class NoSchedule(DigitNet):
    def configure_optimizers(self):
        return super().configure_optimizers()[0]


class OtherSchedule(DigitNet):
    def configure_optimizers(self):
        [optimizer], _ = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)]


class NeverTrains(Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        raise AssertionError("trained")


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (OtherShape, r"network\.0\.weight"),
        (OtherOptimizer, r"Adam.*SGD"),
        (TwoOptimizers, r"was Adam, is Adam, Adam"),
        (NoSchedule, r"StepLR"),
        (OtherSchedule, r"StepLR.*ExponentialLR"),
    ],
)
def test_another_module_is_refused_before_it_trains_and_the_right_one_goes_on(module, said, whole):
    with pytest.raises(ArithmeticError):
        train(At("on_train_batch_start", fails))
    with pytest.raises(RuntimeError if module is OtherShape else ResumeError, match=said):
        train(NeverTrains(), module=module)
    goes_on_and_ends_like(whole)


def test_other_data_is_refused_before_it_trains_and_the_right_data_goes_on(whole):
    with pytest.raises(ArithmeticError):
        train(At("on_train_batch_start", fails))
    with pytest.raises(DataChangedError, match="samples: was 512, is 448"):
        train(NeverTrains(), samples=448)
    goes_on_and_ends_like(whole)


@pytest.mark.parametrize("other", [2, 3, 9])
def test_another_limit_is_fine(other, whole):
    with pytest.raises(ArithmeticError):
        train(At("on_train_batch_start", fails, epoch=2))
    if other < EPOCHS:
        train(max_epochs=other)
        assert Run.open("a").epoch == other - 1
    else:
        with pytest.raises(ArithmeticError):
            train(At("on_train_batch_start", fails, epoch=3), max_epochs=other)
    train()
    found = ending(Run.open("a"))
    assert {**found, "path": None, "best": None} == {**whole, "path": None, "best": None}
