"""Checkpoints at a URL as well: a run goes on on another machine, whatever happened to the first."""

from __future__ import annotations

import resource
import threading
import traceback
from pathlib import Path
from typing import Any

import click
import fsspec
import population_runs as population
import pytest
from copied import Fails, fit, train
from exact_machines import with_actions
from forks import Child
from fsspec.implementations.memory import MemoryFileSystem
from lightning.pytorch import Callback

from burr_lightning import Checkpoints, Run, list_runs
from burr_lightning.actions import BestModel, Rollback
from burr_lightning.cli import main
from burr_lightning.commits.remote import RemoteFiles
from burr_lightning.commits.removing import remove_copy
from burr_lightning.errors import CopyError, LostRowsError, NoCheckpointError
from burr_lightning.persisters import retrying

URL = "memory://bucket/runs"
RUN = "memory://bucket/runs/lightning/a"


@pytest.fixture(autouse=True)
def empty_memory() -> None:
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("uninterrupted")
    return fit(folder / "runs", folder, None)[1]


def there(url: str = RUN) -> list[str]:
    """The checkpoints at a URL."""
    files, root = fsspec.url_to_fs(url)
    return sorted(path.rpartition("/")[2] for path in files.find(f"{root}/checkpoints"))


def here(root: Path) -> list[str]:
    """The checkpoints in a machine's folder, what is torn included."""
    return sorted(path.name for path in (root / "lightning/a/checkpoints").iterdir())


class Sees(Callback):
    """Calls a function where training starts."""

    def __init__(self, look: Any) -> None:
        self._look = look

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.seen = self._look()


class TestAnotherMachine:
    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_a_run_goes_on_there_exactly_and_fetches_what_it_needs_alone(
        self, tmp_path: Path, uninterrupted: str, asynchronous: bool
    ) -> None:
        first, second = tmp_path / "first", tmp_path / "second"
        with pytest.raises(ConnectionAbortedError):
            fit(first, tmp_path, URL, Fails(), asynchronous=asynchronous)
        assert there() == here(first)
        assert len(there()) == 2
        began = Run.open("a", root_dir=first, persister=f"sqlite:///{tmp_path}/rows.db").created

        sees = Sees(lambda: here(second))
        burr, weights = fit(second, tmp_path, URL, sees, asynchronous=asynchronous)
        assert weights == uninterrupted
        assert sees.seen == here(first)[1:]
        assert there() == here(second)
        assert burr.run.created == began
        assert burr.run.verify().sound

    def test_inside_an_epoch(self, tmp_path: Path) -> None:
        _, whole = fit(tmp_path / "whole", tmp_path / "whole", None, every_n_steps=1)
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails(), every_n_steps=1)
        sees = Sees(lambda: here(tmp_path / "second"))
        _, weights = fit(tmp_path / "second", tmp_path, URL, sees, every_n_steps=1)
        assert weights == whole
        assert len(sees.seen) == 1
        assert "-batch=0000002" in sees.seen[0] or "-batch=0000003" in sees.seen[0]

    @pytest.mark.parametrize("damage", [b"torn", None])
    def test_a_damaged_copy_is_told_and_the_commit_before_is_used(
        self, tmp_path: Path, uninterrupted: str, damage: bytes | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails())
        memory, root = fsspec.url_to_fs(f"{RUN}/checkpoints/{there()[-1]}")
        memory.pipe_file(root, damage or memory.cat_file(root)[::-1])
        burr, weights = fit(tmp_path / "second", tmp_path, URL)
        assert weights == uninterrupted
        assert f"The copy of checkpoints/{root.rpartition('/')[2]} at {RUN} is damaged" in caplog.text
        assert f"is missing, and its copy at {RUN} is damaged" in caplog.text
        assert burr.run.verify().sound

    def test_a_file_that_is_damaged_here_is_fetched_again(self, tmp_path: Path, uninterrupted: str) -> None:
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails())
        newest = tmp_path / "first/lightning/a/checkpoints" / there()[-1]
        newest.write_bytes(b"torn")
        found = Run.open("a", root_dir=tmp_path / "first", persister=f"sqlite:///{tmp_path}/rows.db").verify()
        assert found.sound
        assert f"in its copy at {RUN}" in [commit.detail for commit in found.commits]
        assert newest.read_bytes() == b"torn"
        assert fit(tmp_path / "first", tmp_path, URL)[1] == uninterrupted

    def test_a_rollback_and_the_best_weights_take_from_there_what_is_not_here(self, tmp_path: Path) -> None:
        told = {"losses": [0.1, 0.9, 0.8, 0.7], "keep_last": 1}

        def machine() -> Any:
            return with_actions(BestModel(load_weights=True), back=(Rollback("best"), (2,)))

        _, whole = fit(tmp_path / "whole", tmp_path / "whole", None, machine=machine(), **told)
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails(), machine=machine(), **told)
        best, newest = there()
        sees = Sees(lambda: here(tmp_path / "second"))
        burr, weights = fit(tmp_path / "second", tmp_path, URL, sees, machine=machine(), **told)
        assert weights == whole
        assert sees.seen == [newest]
        assert best in here(tmp_path / "second")
        assert burr.state["rollback"]["to"] == 0

    def test_the_best_checkpoint_of_another_machine_is_here_in_the_end(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        told = {"losses": [0.1, 0.9, 0.8, 0.7], "keep_last": 1}
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails(), **told)
        burr, _ = fit(tmp_path / "second", tmp_path, URL, **told)
        assert burr.best_model_path == str(tmp_path / "second/lightning/a/checkpoints" / there()[0])
        assert burr.run.best_checkpoint is not None
        assert "(not kept" not in caplog.text

    def test_a_best_checkpoint_that_is_damaged_here_is_fetched_again(self, tmp_path: Path) -> None:
        told = {"losses": [0.1, 0.9, 0.8, 0.7], "keep_last": 1}
        machine = {"machine": with_actions(BestModel(load_weights=True), back=(Rollback("best"), (2,)))}
        _, whole = fit(tmp_path / "whole", tmp_path / "whole", None, **machine, **told)
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails(), **machine, **told)
        (tmp_path / "first/lightning/a/checkpoints" / there()[0]).write_bytes(b"torn")
        assert fit(tmp_path / "first", tmp_path, URL, **machine, **told)[1] == whole

    @pytest.mark.parametrize("file", ["partial.json", ".ckpt"])
    def test_a_store_that_fails_for_a_while_is_not_one_that_has_nothing(
        self, tmp_path: Path, file: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, "interrupted://bucket/runs", Fails(), every_n_steps=1)
        Interrupted.fails_at = file
        sees = Sees(lambda: here(tmp_path / "second"))
        fit(tmp_path / "second", tmp_path, "interrupted://bucket/runs", sees, every_n_steps=1)
        assert "works again, after" in caplog.text
        assert len(sees.seen) == 1
        assert "-batch=" in sees.seen[0]

    def test_weights_alone_are_known_by_a_digest_too(self, tmp_path: Path) -> None:
        told = {"losses": [0.1, 0.9, 0.8, 0.7], "keep_last": 1, "save_weights_only_best": True}
        machine = {"machine": with_actions(BestModel(load_weights=True))}
        _, whole = fit(tmp_path / "whole", tmp_path / "whole", None, **machine, **told)
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails(), **machine, **told)
        assert there()[0].endswith("-weights.ckpt")
        memory, root = fsspec.url_to_fs(f"{RUN}/checkpoints/{there()[0]}")
        own = memory.cat_file(root)
        memory.pipe_file(root, own[::-1])
        with pytest.raises(NoCheckpointError, match=r"is missing, and its copy at .* is damaged"):
            fit(tmp_path / "second", tmp_path, URL, **machine, **told)
        memory.pipe_file(root, own)
        assert fit(tmp_path / "third", tmp_path, URL, **machine, **told)[1] == whole

    def test_what_no_row_names_is_not_left_there(self, tmp_path: Path, uninterrupted: str) -> None:
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails())
        memory, root = fsspec.url_to_fs(f"{RUN}/checkpoints")
        memory.pipe_file(
            f"{root}/epoch=00002-step=00000099-commit=0000006.ckpt", b"of a process that was killed"
        )
        assert fit(tmp_path / "second", tmp_path, URL)[1] == uninterrupted
        assert there() == here(tmp_path / "second")
        assert not [name for name in there() if "step=00000099" in name]

    def test_a_run_that_had_no_copy_gets_one(self, tmp_path: Path, uninterrupted: str) -> None:
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, None, Fails())
        sees = Sees(there)
        assert fit(tmp_path / "first", tmp_path, URL, sees)[1] == uninterrupted
        assert len(sees.seen) == 2
        assert there() == here(tmp_path / "first")

    def test_a_run_that_had_no_copy_has_its_commit_inside_an_epoch_there_too(self, tmp_path: Path) -> None:
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, None, Fails(), every_n_steps=1)
        # It goes on after two batches, and dies before it commits anything.
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, URL, Fails(), every_n_steps=99)
        sees = Sees(lambda: here(tmp_path / "second"))
        fit(tmp_path / "second", tmp_path, URL, sees, every_n_steps=1)
        assert len(sees.seen) == 1
        assert "-batch=" in sees.seen[0]

    def test_a_checkpoint_in_parts_that_the_run_has_stays_where_it_is(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A strategy that writes those has no copies. Another one goes on, which has."""
        monkeypatch.setattr(retrying, "PATIENCE", 0.2)
        with pytest.raises(ConnectionAbortedError):
            fit(tmp_path / "first", tmp_path, None, Fails(), keep_last=9)
        in_parts = min((tmp_path / "first/lightning/a/checkpoints").iterdir())
        in_parts.unlink()
        in_parts.mkdir()
        (in_parts / "meta.pt").touch()
        sees = Sees(there)
        fit(tmp_path / "first", tmp_path, URL, sees, keep_last=9)
        assert in_parts.is_dir()
        assert len(sees.seen) == 1
        assert in_parts.name not in sees.seen
        assert f"checkpoints/{in_parts.name} is a folder, and is not copied" in caplog.text


POINTS = ["os.rename here", "open there", "os.rename there", "row", "after the row", "os.remove here"]


def killed_and_resumed(tmp_path: Path, dies_at: str | int, asynchronous: bool) -> Any:
    """Have a process die at a point, and another one go on on another machine."""
    child = Child(train, tmp_path / "first", tmp_path, asynchronous, dies_at)
    child.rest()
    assert child.ended() == -9, dies_at
    child = Child(train, tmp_path / "second", tmp_path, asynchronous)
    ended = child.waits_for("ended")
    assert child.ended() == 0
    assert there(f"file://{tmp_path}/copy/lightning/a") == here(tmp_path / "second")
    return ended[1:4]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_between_the_file_its_copy_and_the_row_costs_nothing(
    tmp_path: Path, killable: tuple[Any, list[str]], point: str, asynchronous: bool
) -> None:
    assert killed_and_resumed(tmp_path, point, asynchronous) == killable[0]


@pytest.mark.long
@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_kill_at_any_touch_of_a_file_costs_anything(
    tmp_path: Path, killable: tuple[Any, list[str]], asynchronous: bool
) -> None:
    ended, points = killable
    for number in range(1, len(points) + 1):
        (tmp_path / str(number)).mkdir()
        assert killed_and_resumed(tmp_path / str(number), number, asynchronous) == ended, number


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """How the run ends that is not killed, and the points that it comes by."""
    folder = tmp_path_factory.mktemp("killable")
    child = Child(train, folder / "runs", folder, False, log=folder / "child.log")
    ended = child.waits_for("ended")
    assert child.ended() == 0
    assert set(POINTS) <= set(ended[4])
    return ended[1:4], ended[4]


class SlowStore(MemoryFileSystem):
    """A store in memory that takes its time, until it is let."""

    protocol = "slow"
    busy = threading.Event()
    may_go_on = threading.Event()
    slow_at: tuple[str, str] | None = None
    """What it takes its time for: an operation, and a part of the file's name."""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("slow://", "memory://"))

    def _take_time(self, what: str, path: str) -> None:
        if self.slow_at is not None and what == self.slow_at[0] and self.slow_at[1] in path:
            self.busy.set()
            assert self.may_go_on.wait(60)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self._take_time("put", rpath)
        super().put_file(lpath, rpath, **options)

    def rm_file(self, path: str) -> None:
        self._take_time("rm", path)
        super().rm_file(path)


fsspec.register_implementation("slow", SlowStore, clobber=True)


class SlowFrom(Callback):
    """The store is slow with one file, until so many batches of an epoch were trained meanwhile.

    What it is slow at has to begin before that epoch ends.
    """

    def __init__(self, what: str, file: str, epoch: int, batches: int) -> None:
        self._epoch, self._batches = epoch, batches
        self.trained_meanwhile = 0
        SlowStore.busy.clear()
        SlowStore.may_go_on.clear()
        SlowStore.slow_at = what, file

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        if trainer.current_epoch == self._epoch and not SlowStore.may_go_on.is_set():
            assert SlowStore.busy.wait(60)
            self.trained_meanwhile += 1
            if self.trained_meanwhile == self._batches:
                SlowStore.slow_at = None
                SlowStore.may_go_on.set()


class TestSlowStore:
    def test_training_goes_on_while_a_checkpoint_is_copied(self, tmp_path: Path, uninterrupted: str) -> None:
        slow = SlowFrom("put", "epoch=00001-", 2, 3)
        _, weights = fit(tmp_path / "runs", tmp_path, "slow://bucket/runs", slow, asynchronous=True)
        assert slow.trained_meanwhile == 3
        assert weights == uninterrupted
        assert there("slow://bucket/runs/lightning/a") == here(tmp_path / "runs")

    def test_training_waits_for_it_at_no_epoch_that_is_not_committed(self, tmp_path: Path) -> None:
        keep = {"every_n_epochs": 2, "keep_best": 0}
        _, whole = fit(tmp_path / "whole", tmp_path / "whole", None, **keep)
        slow = SlowFrom("put", "epoch=00001-", 3, 2)
        _, weights = fit(tmp_path / "runs", tmp_path, "slow://bucket/runs", slow, asynchronous=True, **keep)
        assert slow.trained_meanwhile == 2
        assert weights == whole

    @pytest.mark.parametrize("asynchronous", [False, True])
    def test_training_does_not_wait_for_a_deletion(
        self, tmp_path: Path, uninterrupted: str, asynchronous: bool
    ) -> None:
        slow = SlowFrom("rm", "epoch=00000-", 3, 3)
        _, weights = fit(
            tmp_path / "runs", tmp_path, "slow://bucket/runs", slow, keep_last=1, asynchronous=asynchronous
        )
        assert slow.trained_meanwhile == 3
        assert weights == uninterrupted
        assert there("slow://bucket/runs/lightning/a") == here(tmp_path / "runs")

    def test_a_deletion_that_hangs_ends_no_later_than_patience_and_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(retrying, "PATIENCE", 0.2)
        slow = SlowFrom("rm", "epoch=00000-", 3, 99)
        burr, _ = fit(tmp_path / "runs", tmp_path, "slow://bucket/runs", slow, keep_last=1)
        before = there("slow://bucket/runs/lightning/a")
        SlowStore.may_go_on.set()
        assert "were not deleted in 0.2 s and may stay: checkpoints/epoch=00000-" in caplog.text
        # What another process may have written meanwhile is not deleted by this one.
        for thread in [thread for thread in threading.enumerate() if thread.name == "deletions"]:
            thread.join(60)
        left = [name for name in before if "epoch=00000-" not in name]
        assert len(left) == 3
        assert there("slow://bucket/runs/lightning/a") == left
        assert burr.run.verify().sound


class Interrupted(MemoryFileSystem):
    """A store in memory that fails once when it is asked for a file."""

    protocol = "interrupted"
    fails_at: str | None = None
    """The end of the file's name."""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("interrupted://", "memory://"))

    def info(self, path: str, **options: Any) -> Any:
        if Interrupted.fails_at is not None and path.endswith(Interrupted.fails_at):
            Interrupted.fails_at = None
            raise ConnectionResetError(path)
        return super().info(path, **options)


fsspec.register_implementation("interrupted", Interrupted, clobber=True)


class Refuses(MemoryFileSystem):
    """A store in memory that deletes nothing."""

    protocol = "refuses"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("refuses://", "memory://"))

    def rm_file(self, path: str) -> None:
        raise PermissionError(path)


fsspec.register_implementation("refuses", Refuses, clobber=True)


def test_what_cannot_be_deleted_is_told_once_and_ends_nothing(
    tmp_path: Path, uninterrupted: str, caplog: pytest.LogCaptureFixture
) -> None:
    burr, weights = fit(tmp_path / "runs", tmp_path, "refuses://bucket/runs", keep_last=1)
    assert weights == uninterrupted
    assert burr.run.status == "finished"
    assert caplog.text.count("could not be deleted at refuses://bucket/runs/lightning/a") == 1
    assert len(there("refuses://bucket/runs/lightning/a")) == 4


class Telling(MemoryFileSystem):
    """A store in memory whose errors tell what it was given."""

    protocol = "telling"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._told = options

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("telling://", "memory://"))

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        raise PermissionError("not today") from OSError(f"refused with {self._told}")


fsspec.register_implementation("telling", Telling, clobber=True)


class Loses(MemoryFileSystem):
    """A store in memory that loses a byte of what it is given, and says nothing."""

    protocol = "loses"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("loses://", "memory://"))

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self.pipe_file(rpath, Path(lpath).read_bytes()[:-1])


fsspec.register_implementation("loses", Loses, clobber=True)


def test_a_copy_that_is_too_short_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PATIENCE", 0.2)
    with pytest.raises(CopyError, match=r"run.json has \d+ bytes there, and \d+ here"):
        fit(tmp_path / "runs", tmp_path, "loses://bucket/runs")


def test_what_a_full_share_does_not_take_is_not_in_place_of_what_was_there(tmp_path: Path) -> None:
    file, limits = tmp_path / "partial.json", resource.getrlimit(resource.RLIMIT_FSIZE)
    copy = RemoteFiles(f"file://{tmp_path}/share/a", "a", patience=0)
    (tmp_path / "share").mkdir()
    file.write_bytes(b"before")
    copy.put(file, "partial.json")
    file.write_bytes(bytes(1 << 16))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, limits[1]))
    try:
        with pytest.raises(CopyError, match="File too large"):
            copy.put(file, "partial.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in (tmp_path / "share/a").iterdir()] == ["partial.json"]
    assert (tmp_path / "share/a/partial.json").read_bytes() == b"before"


def test_what_a_killed_process_left_there_is_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "share/lightning/a/checkpoints"
    folder.mkdir(parents=True)
    torn = folder / ".epoch=00000-step=00000004-commit=0000002.ckpt.tmp"
    url = f"file://{tmp_path}/share"
    with pytest.raises(ConnectionAbortedError):
        fit(tmp_path / "runs", tmp_path, url, Fails())
    for again in (
        lambda: fit(tmp_path / "runs", tmp_path, url),
        lambda: remove_copy(f"{url}/lightning/a", "a"),
    ):
        torn.write_bytes(b"torn")
        again()
        assert not torn.exists()
    assert list((tmp_path / "share").glob("**/*.*")) == []


class TestRefused:
    @pytest.mark.parametrize(
        ("url", "why"),
        [
            ("nowhere://bucket/runs", "Protocol not known: nowhere"),
            ("gs://bucket/runs", "install gcsfs"),
            ("file:///not-there/runs", "No such file or directory"),
            ("file:///proc/1/runs", "No such file or directory|Permission denied"),
        ],
    )
    def test_a_url_that_cannot_be_written_before_the_first_epoch(
        self, tmp_path: Path, url: str, why: str
    ) -> None:
        sees = Sees(lambda: True)
        with pytest.raises(CopyError, match=why) as raised:
            fit(tmp_path / "runs", tmp_path, url, sees)
        assert not hasattr(sees, "seen")
        assert raised.value.url == f"{url}/lightning/a"
        assert raised.value.run_id == "a"

    def test_what_is_no_url(self) -> None:
        with pytest.raises(ValueError, match="it must be a URL that fsspec opens"):
            Checkpoints(copy_to="bucket/runs")
        with pytest.raises(ValueError, match="no chain of them") as raised:
            Checkpoints(copy_to="simplecache::ftp://a:s3cret-Pass@host/runs")
        assert "s3cret-Pass" not in str(raised.value)
        with pytest.raises(ValueError, match=r"has three slashes: file:///mnt/share"):
            Checkpoints(copy_to="file://mnt/share")
        with pytest.raises(ValueError, match="they are for copy_to"):
            Checkpoints(storage_options={"key": "a"})

    def test_a_password_is_not_shown(self, tmp_path: Path) -> None:
        with pytest.raises(CopyError) as raised:
            fit(
                tmp_path / "runs",
                tmp_path,
                "nowhere://burr:s3cret-Pass@host/runs",
                options={"token": "a-Token"},
            )
        assert raised.value.url == "nowhere://burr@host/runs/lightning/a"
        assert "s3cret-Pass" not in str(raised.value) + repr(Checkpoints(copy_to="nowhere://a:s3cret-Pass@b"))

    def test_nor_one_that_cannot_be_told_from_the_place(self) -> None:
        with pytest.raises(ValueError, match="is no bucket or host") as raised:
            Checkpoints(copy_to="s3://burr:s3cret/Pass@bucket/runs")
        assert "s3cret" not in str(raised.value)

    def test_nor_one_that_the_client_has_said_before(self, tmp_path: Path) -> None:
        with pytest.raises(CopyError, match="PermissionError: not today") as raised:
            fit(
                tmp_path / "runs",
                tmp_path,
                "telling://bucket/runs",
                options={"auth": ("burr", "s3cret-Pass")},
            )
        assert "s3cret-Pass" not in "".join(traceback.format_exception(raised.value))

    def test_another_run_of_that_name_there(self, tmp_path: Path) -> None:
        fit(tmp_path / "first", tmp_path, URL)
        (tmp_path / "other").mkdir()
        before = there()
        with pytest.raises(LostRowsError, match=f"or {RUN}, and .* has no row"):
            fit(tmp_path / "second", tmp_path / "other", URL)
        assert there() == before


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run whose folder has lost its checkpoints: they are at the URL alone."""
    root = tmp_path / "runs"
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(root))
    monkeypatch.setenv("BURR_LIGHTNING_PERSISTER", f"sqlite:///{tmp_path}/rows.db")
    fit(root, tmp_path, URL, keep_last=3)
    for name in here(root):
        (root / "lightning/a/checkpoints" / name).unlink()
    return root


def command(*words: str) -> None:
    main(list(words), standalone_mode=False)


def test_a_population_is_what_it_is_without_a_copy_and_goes_with_it(tmp_path: Path) -> None:
    def copied(trial: Any) -> None:
        population.fit(trial, checkpoints=Checkpoints(copy_to=URL))

    plain = population.study("plain", n_trials=8)
    plain.run()
    made = population.study("copied", copied, n_trials=8)
    made.run()
    assert population.told(made) == population.told(plain)
    runs = [run for run in list_runs() if run.run_id.startswith("copied")]
    assert any(run.parent is not None for run in runs)
    for run in runs:
        at = f"{URL}/lightning/{run.run_id}"
        assert there(at) == sorted(path.name for path in (run.folder / "checkpoints").iterdir())
    command("study", "delete", "copied", "--yes")
    assert fsspec.url_to_fs(URL)[0].find("/bucket/runs") == []


class TestStoredRuns:
    def test_verify_looks_at_the_copy_and_brings_nothing(self, moved: Path) -> None:
        found = Run.open("a").verify()
        assert found.sound
        assert found.resume is not None
        assert here(moved) == []
        memory, root = fsspec.url_to_fs(f"{RUN}/checkpoints/{there()[1]}")
        memory.pipe_file(root, b"torn")
        details = [commit.detail for commit in Run.open("a").verify().commits]
        assert "only its copy is left, and is damaged" in details

    def test_weights_are_exported_from_it(self, moved: Path, tmp_path: Path) -> None:
        command("export", "a", "--weights", str(tmp_path / "weights.pt"), "--epoch", "2")
        assert here(moved) == [there()[1]]
        memory, root = fsspec.url_to_fs(f"{RUN}/checkpoints/{there()[0]}")
        memory.pipe_file(root, b"torn")
        with pytest.raises(
            click.ClickException, match=f"epoch 1 is missing, and its copy at {RUN} is damaged"
        ):
            command("export", "a", "--weights", str(tmp_path / "damaged.pt"), "--epoch", "1")

    def test_a_fork_takes_its_checkpoint_from_it_and_has_its_own_there(self, moved: Path) -> None:
        fork = Run.open("a").fork(epoch=2, run_id="b")
        assert fork.verify().sound
        assert there(f"{URL}/lightning/b") == []

    def test_prune_deletes_in_both_places(self, moved: Path, capsys: pytest.CaptureFixture[str]) -> None:
        newest = there()[-1]
        command("prune", "a", "--keep-last", "1")
        assert "2 files to delete" in capsys.readouterr().out
        command("prune", "a", "--keep-last", "1", "--yes")
        assert there() == [newest]

    def test_delete_deletes_the_copy_and_nothing_else(self, moved: Path, capsys: Any) -> None:
        memory, root = fsspec.url_to_fs(f"{RUN}/notes.txt")
        memory.pipe_file(root, b"mine")
        command("delete", "a")
        assert RUN in capsys.readouterr().out
        assert len(there()) == 3
        command("delete", "a", "--yes")
        files, root = fsspec.url_to_fs(RUN)
        assert files.find(root) == ["/bucket/runs/lightning/a/notes.txt"]

    def test_a_copy_that_cannot_be_deleted_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path / "runs"))
        monkeypatch.setenv("BURR_LIGHTNING_PERSISTER", f"sqlite:///{tmp_path}/rows.db")
        fit(tmp_path / "runs", tmp_path, "refuses://bucket/runs")
        command("delete", "a", "--yes")
        assert not (tmp_path / "runs/lightning/a").exists()
        assert "its copy stays at refuses://bucket/runs/lightning/a (PermissionError" in caplog.text
