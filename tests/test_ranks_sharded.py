"""A module that is sharded over processes: its commits are whole, and a run goes on from them exactly."""

import json
import os
import shutil
import signal

import pytest
import torch
from click.testing import CliRunner
from digits import DigitNet
from exact_machines import with_actions
from forks import Child
from ranked import Ranked
from sharded import (
    SHARDED,
    ShardedNet,
    digest_of,
    remove_and_die,
    spread_in_one_file,
    spread_in_parts,
    train_and_die,
    train_sharded,
)
from test_ranks_exact import goes_on_exactly

from burr_lightning import Checkpoints, Run
from burr_lightning.actions import BestModel
from burr_lightning.cli.app import main
from burr_lightning.commits.files import remove_torn_files, sha256
from burr_lightning.commits.folders import begin_parts, publish_folder
from burr_lightning.desk.kept_commits import kept_commits
from burr_lightning.desk.store import RunStore


def trained(size, training, in_parts):
    """Train to the end; how that was on each rank."""
    ranks = Ranked(size, train_sharded, training, in_parts)
    statuses, told = ranks.ended()
    assert statuses == [0] * size, ranks.printed
    return [ending for _, ending in told]


def killed(training, in_parts, rank, touch):
    """Train until one of two ranks dies at a touch of its checkpoints."""
    ranks = Ranked(2, train_and_die, training, in_parts, rank, touch)
    statuses, _ = ranks.ended()
    assert statuses[rank] == -signal.SIGKILL, ranks.printed
    assert statuses[1 - rank] == 1, ranks.printed


def saves_inside_epochs():
    return {"checkpoints": Checkpoints(every_n_steps=100)}


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    """Goes to a new folder, and has runs kept there."""

    def go(patch):
        folder = tmp_path_factory.mktemp("sharded")
        patch.chdir(folder)
        patch.setenv("BURR_LIGHTNING_HOME", str(folder))
        return folder

    return go


@pytest.fixture(scope="module")
def undisturbed(at):
    """How trainings end that nothing happens to, each trained once; the form of checkpoints is no matter."""
    known = {}

    def ends(size, training):
        key = (size, repr(training))
        if key not in known:
            with pytest.MonkeyPatch.context() as patch:
                at(patch)
                known[key] = trained(size, training, True)
        return known[key]

    return ends


SHORT = SHARDED.but(epochs=3)
INSIDE = SHARDED.but(
    callback=saves_inside_epochs, stateful=True, trainer={"accumulate_grad_batches": 2}, epochs=3
)


@pytest.fixture(scope="module")
def gone_on(at):
    """A run with one file, gone on with in parts; a rank dies as those are written. How it ended."""
    with pytest.MonkeyPatch.context() as patch:
        folder = at(patch)
        trained(2, SHORT.but(epochs=1), False)
        killed(SHORT, True, 0, 9)
        torn = [path.name for path in folder.rglob(".*.tmp")]
        return folder, torn, trained(2, SHORT, True)


class TestGoneOn:
    @pytest.fixture(autouse=True)
    def stored(self, gone_on, tmp_path, monkeypatch):
        """A copy of the run, to do anything to."""
        home = tmp_path / "home"
        shutil.copytree(gone_on[0], home)
        monkeypatch.setenv("BURR_LIGHTNING_HOME", str(home))
        return home

    @pytest.fixture
    def folders(self, stored):
        return sorted((stored / "lightning" / "ranked" / "checkpoints").iterdir())

    def test_it_ends_as_one_that_was_not_interrupted(self, gone_on, undisturbed, folders):
        _, torn, endings = gone_on
        assert [name[:8] for name in torn] == [".shards-"]
        assert endings == undisturbed(2, SHORT)
        assert [path.is_dir() for path in folders] == [True, True]
        assert Run.open("ranked").verify().sound

    @pytest.mark.parametrize("harm", ["a byte is another", "a part is gone", "it is gone"])
    def test_a_damaged_folder_is_told_of_and_the_one_before_is_used(self, harm, folders):
        part = folders[-1] / "__1_0.distcp"
        if harm == "a byte is another":
            content = bytearray(part.read_bytes())
            content[len(content) // 2] ^= 1
            part.write_bytes(content)
        elif harm == "a part is gone":
            part.unlink()
        else:
            shutil.rmtree(folders[-1])
        checked = Run.open("ranked").verify()
        assert checked.commits[-1].verdict == ("missing" if harm == "it is gone" else "damaged")
        assert checked.resume.checkpoint == f"checkpoints/{folders[0].name}"

    def test_weights_are_exported_whole(self, gone_on, tmp_path):
        done = CliRunner().invoke(main, ["export", "ranked", "--weights", str(tmp_path / "weights.pt")])
        assert done.exit_code == 0, done.output
        weights = torch.load(tmp_path / "weights.pt", weights_only=True)
        DigitNet().load_state_dict(weights)
        assert digest_of(weights) == gone_on[2][0]["weights"]

    def test_a_fork_shares_the_files(self, folders):
        fork = Run.open("ranked").fork(epoch=1, run_id="forked")
        [theirs] = (fork.folder / "checkpoints").iterdir()
        assert sha256(theirs) == sha256(folders[0])
        assert os.path.samefile(theirs / "__0_0.distcp", folders[0] / "__0_0.distcp")
        assert fork.verify().sound

    def test_pruning_removes_whole_folders_and_says_what_that_frees(self, folders):
        size = sum(path.stat().st_size for path in folders[0].iterdir())
        done = CliRunner().invoke(
            main, ["prune", "ranked", "--keep-last", "1", "--keep-best", "1", "--yes", "--json"]
        )
        assert done.exit_code == 0, done.output
        assert json.loads(done.output)["bytes"] == size
        assert not folders[0].exists()
        assert Run.open("ranked").verify().sound

    def test_one_whose_deletion_is_cut_off_is_no_checkpoint_any_more(self, folders):
        assert Child(remove_and_die, folders[0]).ended() == -signal.SIGKILL
        assert not folders[0].exists()
        assert Run.open("ranked").verify().sound
        remove_torn_files(folders[0].parent)
        assert list(folders[0].parent.iterdir()) == [folders[1]]

    def test_what_is_torn_is_told_of_and_pruned(self, folders):
        torn = folders[0].with_name(".shards-0123.tmp")
        shutil.copytree(folders[0], torn)
        done = CliRunner().invoke(main, ["doctor"])
        assert "1 torn file of the run ranked" in " ".join(done.output.split())
        assert CliRunner().invoke(main, ["prune", "ranked", "--yes"]).exit_code == 0
        assert not torn.exists()
        assert all(path.exists() for path in folders)

    def test_it_is_deleted_with_the_run(self, stored, folders):
        assert CliRunner().invoke(main, ["delete", "ranked", "--yes"]).exit_code == 0
        assert not (stored / "lightning" / "ranked").exists()

    def test_the_page_tells_its_size(self, stored, folders):
        kept = kept_commits(RunStore(stored).one("lightning", "ranked"))[0]
        assert kept.size == sum(path.stat().st_size for path in folders[1].iterdir())


@pytest.mark.long
class TestAnyInterruption:
    @pytest.fixture(autouse=True)
    def home(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path))

    @pytest.mark.parametrize("in_parts", [False, True], ids=["one-file", "in-parts"])
    def test_after_each_epoch(self, in_parts, undisturbed):
        for epochs in (1, 2, 3):
            trained(2, SHARDED.but(epochs=epochs), in_parts)
        assert trained(2, SHARDED, in_parts) == undisturbed(2, SHARDED)

    @pytest.mark.parametrize("in_parts", [False, True], ids=["one-file", "in-parts"])
    def test_inside_an_epoch_where_gradients_wait(self, in_parts, undisturbed):
        told_to_end = INSIDE.but(event=([1], 1, 2, "SIGTERM"))
        ranks = Ranked(2, train_sharded, told_to_end, in_parts)
        statuses, _ = ranks.ended()
        assert statuses == [128 + signal.SIGTERM] * 2, ranks.printed
        [checkpoint] = Run.open("ranked").folder.glob("checkpoints/epoch=00001-*-batch=0000003.ckpt")
        assert checkpoint.is_dir() == in_parts
        assert trained(2, INSIDE, in_parts) == undisturbed(2, INSIDE)

    @pytest.mark.parametrize(
        ("rank", "touch"),
        [(0, 4), (1, 6), (0, 20), (0, 22), (0, 24), (0, 27), (0, 32), (0, 33), (0, 48), (0, 49), (0, 50)],
    )
    def test_by_the_death_of_a_rank_at_a_touch_of_the_disk(self, rank, touch, undisturbed):
        killed(SHARDED, True, rank, touch)
        assert trained(2, SHARDED, True) == undisturbed(2, SHARDED)
        run = Run.open("ranked")
        assert run.verify().sound
        assert len(list((run.folder / "checkpoints").iterdir())) == 2


def gives_the_best():
    return {"machine": with_actions(BestModel(load_weights=True, export="best.pt"))}


class WorseAtLast(ShardedNet):
    """Epoch 1 is its best."""

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", float(abs(self.current_epoch - 1)))


@pytest.mark.long
@pytest.mark.parametrize("in_parts", [False, True], ids=["one-file", "in-parts"])
def test_the_best_weights_are_given_to_the_module_and_exported(in_parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path))
    training = SHORT.but(callback=gives_the_best, module=WorseAtLast)
    [first, _] = trained(2, training, in_parts)
    exported = torch.load(Run.open("ranked").folder / "best.pt", weights_only=True)
    assert first["weights"] == digest_of(exported)
    [at_epoch_1, _] = trained(2, SHORT.but(run_id="two", epochs=2, module=WorseAtLast), in_parts)
    assert first["weights"] == at_epoch_1["weights"]


class WithoutStates(ShardedNet):
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.long
def test_an_optimizer_without_a_state_goes_on_in_parts_and_is_refused_in_one_file(
    undisturbed, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path))
    training = SHORT.but(module=WithoutStates)
    trained(2, training.but(epochs=1), True)
    assert trained(2, training, True) == undisturbed(2, training)
    ranks = Ranked(2, train_sharded, training.but(run_id="one-file"), False)
    assert ranks.ended()[0] == [1, 1]
    assert "SGD has no state" in ranks[1].printed


IN_BOTH_FORMS = {"two_optimizers_by_hand", "rolled_back_to_other_groups", "frozen_and_unfrozen", "evaluated"}
CASES_IN_PARTS = IN_BOTH_FORMS | {
    *("batch_norm", "accumulated_gradients", "plateau_lr_by_step", "a_module_that_unfreezes_a_layer"),
    *("changed_beside_commits_inside_epochs", "staged_by_methods", "changed_hparams", "finetuned_in_stages"),
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "spread"),
    [
        *((name, spread_in_parts) for name in sorted(CASES_IN_PARTS)),
        *((name, spread_in_one_file) for name in sorted(IN_BOTH_FORMS)),
    ],
)
def test_what_a_resume_can_get_wrong_is_right(name, spread, tmp_path):
    goes_on_exactly(name, tmp_path, spread)


@pytest.mark.long
@pytest.mark.parametrize("in_parts", [False, True], ids=["one-file", "in-parts"])
@pytest.mark.parametrize(("first", "then"), [(2, 1), (2, 4), (4, 2)])
def test_another_number_of_processes_goes_on_from_the_end_of_an_epoch(
    first, then, in_parts, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(tmp_path))
    [before, *_] = trained(first, SHARDED.but(epochs=2), in_parts)
    ranks = Ranked(then, train_sharded, SHARDED.but(epochs=2), in_parts)
    statuses, told = ranks.ended()
    assert statuses == [0] * then, ranks.printed
    assert told[0][1]["weights"] == before["weights"]  # nothing is trained, and everything is put together
    assert told[0][1]["optimizer"] == before["optimizer"]
    ranks = Ranked(then, train_sharded, SHARDED, in_parts)
    statuses, told = ranks.ended()
    assert statuses == [0] * then, ranks.printed
    assert f"goes on with {then}" in ranks.printed
    assert told[0][1]["epoch"] == 3


def test_a_process_that_still_writes_for_a_killed_training_writes_into_no_checkpoint_of_the_next(tmp_path):
    left_over = begin_parts(tmp_path)
    remove_torn_files(tmp_path)
    next_one = begin_parts(tmp_path)
    (next_one / "__1_0.distcp").write_bytes(b"of the next")
    left_over.mkdir(exist_ok=True)  # as torch does
    (left_over / "__1_0.distcp").write_bytes(b"of the killed one")
    checkpoint = tmp_path / "checkpoint.ckpt"
    publish_folder(next_one, checkpoint)
    assert (checkpoint / "__1_0.distcp").read_bytes() == b"of the next"
