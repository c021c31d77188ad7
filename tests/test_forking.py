"""Forking a run, as a user does it: names, epochs, hyperparameters, what is shared, what is refused."""

import os
import shutil

import pytest
import torch
from digits import DigitNet, digit_loaders
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from burr_lightning import BurrCallback, Checkpoints, Run, list_runs
from burr_lightning.errors import (
    EpochNotForkableError,
    ForkError,
    ResumeError,
    RunExistsError,
    RunIdError,
    UnknownHparamError,
)
from burr_lightning.layout import FORK_VARIABLE, RUN_ID_VARIABLE
from burr_lightning.locks import RunLock
from burr_lightning.mixins import BurrMixin
from burr_lightning.runs import forking

QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}


class Told(BurrMixin, DigitNet):
    """Writes down what it is told."""

    def __init__(self):
        super().__init__()
        self.told = []

    def on_hparams_change(self, old, new):
        self.told.append((old, new, dict(self.hparams)))
        super().on_hparams_change(old, new)


class Rates(Callback):
    """The groups of the optimizer in the first batch of each epoch."""

    def __init__(self):
        self.seen = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        [group] = trainer.optimizers[0].param_groups
        self.seen.setdefault(trainer.current_epoch, {key: v for key, v in group.items() if key != "params"})


def fit(run_id, module=None, max_epochs=4, **options):
    seed_everything(1, verbose=False)
    burr = BurrCallback(run_id, monitor="val_loss", **{"checkpoints": Checkpoints(keep_last=9), **options})
    rates = Rates()
    trainer = Trainer(max_epochs=max_epochs, callbacks=[rates, burr], **QUIET)
    trainer.fit(module or DigitNet(), *digit_loaders(samples=128))
    return burr, rates.seen


@pytest.fixture
def base():
    """A run of four epochs, whose checkpoints are all there."""
    fit("base")
    return Run.open("base")


def test_a_fork_has_the_history_until_then_and_knows_its_parent_as_that_knows_it(base):
    fork = base.fork(epoch=1, run_id="fork")
    assert fork.history.to_dicts() == base.history.to_dicts()[:2]
    assert (fork.parent.run_id, fork.parent.epoch) == ("base", 1)
    assert str(fork.parent) == "base@1"
    assert base.parent is None
    assert [child.run_id for child in base.children()] == ["fork"]
    fit("fork")
    assert Run.open("fork").parent == fork.parent
    assert len(Run.open("fork").history) == 4
    assert Run.open("fork").path[0].action == "train_epoch"


def test_a_fork_can_be_forked_where_it_was_forked_and_after_it(base):
    base.fork(2, "fork")
    fit("fork", max_epochs=6)
    assert Run.open("fork").forkable == [2, 3, 4, 5]
    for epoch in (2, 4):
        grandchild = Run.open("fork").fork(epoch, f"grandchild-{epoch}")
        assert str(grandchild.parent) == f"fork@{epoch}"
        fit(grandchild.run_id, max_epochs=6)
        assert Run.open(grandchild.run_id).history["val_loss"][:] == Run.open("fork").history["val_loss"][:]
    with pytest.raises(EpochNotForkableError, match="epoch 1: 'base' has trained it, so fork that run"):
        Run.open("fork").fork(1, "other")


def test_its_checkpoint_is_not_copied_and_outlives_the_parent(base):
    fork = base.fork(1, "fork")
    [newest] = [commit for commit in fork.commits if commit.epoch == 1]
    parents = base.folder / "checkpoints" / newest.path.name
    assert os.path.samefile(newest.path, parents)
    shutil.rmtree(base.folder)
    assert fork.verify().sound
    fit("fork")
    assert Run.open("fork").epoch == 3


def test_where_the_file_system_has_no_links_it_is_copied(base, monkeypatch):
    def cannot(*paths):
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", cannot)
    fork = base.fork(1, "fork")
    assert fork.verify().sound
    for path in (fork.folder / "checkpoints").iterdir():
        original = base.folder / "checkpoints" / path.name
        assert not os.path.samefile(path, original)
        assert path.read_bytes() == original.read_bytes()


def test_training_the_fork_leaves_the_parent_as_it_is(base):
    before = {path: path.read_bytes() for path in sorted(base.folder.rglob("*")) if path.is_file()}
    base.fork(1, "fork", {"learning_rate": 0.5})
    fit("fork", checkpoints=Checkpoints(keep_last=1))
    after = {path: path.read_bytes() for path in sorted(base.folder.rglob("*")) if path.is_file()}
    assert after == before
    assert Run.open("base").history.to_dicts() == base.history.to_dicts()


def test_the_epoch_can_be_the_best_or_the_last(base):
    best = base.best["epoch"]
    assert base.fork("best", "a").epoch == best
    assert base.fork("last", "b").epoch == 3
    assert base.fork(run_id="c").epoch == 3


def test_hyperparameters_are_others_from_the_first_batch_of_the_fork_on(base):
    before = fit("again")[1]
    assert before[2]["lr"] == 1e-3  # half of 2e-3, by the schedule
    base.fork(1, "fork", {"learning_rate": 0.5, "weight_decay": 0.25, "betas": [0.5, 0.75]})
    module = DigitNet()
    burr, rates = fit("fork", module)
    assert rates[2] == {**rates[2], "lr": 0.25, "weight_decay": 0.25, "betas": (0.5, 0.75)}
    assert module.hparams.learning_rate == 0.5
    assert burr.run.hparams["learning_rate"] == 0.5
    assert burr.run.hparams["betas"] == [0.5, 0.75]


def test_a_module_with_the_mixin_is_told_once_and_has_the_new_ones_already(base):
    fit("told", Told())
    Run.open("told").fork(1, "fork", {"learning_rate": 0.5})
    module = Told()
    fit("fork", module)
    assert module.told == [({"learning_rate": 2e-3}, {"learning_rate": 0.5}, {"learning_rate": 0.5})]
    module = Told()
    fit("fork", module, max_epochs=6)
    assert module.told == []
    assert module.hparams.learning_rate == 0.5


def test_a_fork_of_a_fork_has_the_changes_of_both(base):
    base.fork(1, "fork", {"learning_rate": 0.5})
    Run.open("fork").fork(1, "grandchild", {"weight_decay": 0.25})
    _, rates = fit("grandchild")
    assert (rates[2]["lr"], rates[2]["weight_decay"]) == (0.25, 0.25)


def test_a_script_that_names_the_parent_trains_the_fork_where_the_environment_says_so(base, monkeypatch):
    base.fork(1, "fork")
    monkeypatch.setenv(FORK_VARIABLE, "base:fork")
    assert BurrCallback("base").run_id == "fork"
    assert BurrCallback("other").run_id == "other"
    monkeypatch.setenv(RUN_ID_VARIABLE, "base")
    assert BurrCallback().run_id == "fork"


def test_a_fork_goes_beyond_what_ended_its_parent(base):
    base.fork("last", "fork")
    fit("fork", max_epochs=6)
    assert Run.open("fork").epoch == 5
    assert Run.open("base").epoch == 3


def test_a_run_that_is_being_trained_can_be_forked(base):
    class Forks(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 3:
                Run.open("live").fork("last", "fork")

    seed_everything(1, verbose=False)
    burr = BurrCallback("live", monitor="val_loss")
    trainer = Trainer(max_epochs=5, callbacks=[Forks(), burr], **QUIET)
    trainer.fit(DigitNet(), *digit_loaders(samples=128))
    assert str(Run.open("fork").parent) == "live@2"
    fit("fork", max_epochs=5)
    assert Run.open("fork").history.to_dicts()[-1]["val_loss"] == burr.history["val_loss"][-1]


def test_an_epoch_that_was_pruned_is_an_error_that_lists_those_that_can_be_forked():
    fit("base", checkpoints=Checkpoints(keep_last=2, keep_best=0))
    pruned = r"epoch 0: its checkpoint was pruned\. .*forked: 2, 3\. "
    with pytest.raises(EpochNotForkableError, match=pruned) as error:
        Run.open("base").fork(0, "fork")
    assert (error.value.epoch, error.value.available) == (0, [2, 3])
    assert Run.open("base").forkable == [2, 3]
    with pytest.raises(EpochNotForkableError, match="epoch 7: the run has not trained it"):
        Run.open("base").fork(7, "fork")
    assert [run.run_id for run in list_runs()] == ["base"]


def test_a_damaged_checkpoint_is_not_forked_and_the_name_stays_free(base):
    [commit] = [commit for commit in base.commits if commit.epoch == 1]
    commit.path.write_bytes(commit.path.read_bytes()[:-1] + b"?")
    with pytest.raises(
        EpochNotForkableError, match=r"epoch 1: its checkpoint .* is damaged.*forked: 0, 2, 3"
    ):
        base.fork(1, "fork")
    assert base.fork(2, "fork").epoch == 2


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"run_id": "base"}, RunExistsError, "there is a run of that name"),
        ({"run_id": "../x"}, RunIdError, r"fork\(epoch=1, run_id='../x'\): a run id names a folder"),
        ({"hparams": {"rate": 1}}, UnknownHparamError, "no hyperparameter 'rate'. It has: learning_rate"),
        ({"hparams": {"lr": 1.0}}, UnknownHparamError, "no hyperparameter 'lr'. It has: learning_rate"),
        ({"hparams": {"learning_rate": "fast"}}, ForkError, "must be a number, was 0.002"),
        ({"hparams": {"learning_rate": float("nan")}}, ForkError, "finite numbers"),
        ({"hparams": {"betas": {0.5}}}, ForkError, "finite numbers, texts, lists and dicts"),
        ({"hparams": ["learning_rate"]}, ForkError, "finite numbers, texts, lists and dicts"),
        ({"hparams": {"learning_rate": -1.0}}, ForkError, "learning_rate=-1.0 must be 0 or more"),
        ({"hparams": {"betas": 0.9}}, ForkError, "betas=0.9 must be two numbers"),
        ({"hparams": {"betas": [0.9, 1]}}, ForkError, "betas=.* must be two numbers, 0 or more and less"),
        ({"hparams": {"momentum": "x"}}, ForkError, "momentum='x' must be a number"),
        ({"epoch": "first"}, ForkError, "a number from 0 on, 'best' or 'last'"),
        ({"epoch": True}, ForkError, "a number from 0 on, 'best' or 'last'"),
    ],
)
def test_what_cannot_be_forked_says_why_and_leaves_nothing(base, arguments, error, match):
    with pytest.raises(error, match=match):
        base.fork(**{"epoch": 1, "run_id": "fork", **arguments})
    assert [run.run_id for run in list_runs()] == ["base"]
    assert sorted(path.name for path in base.folder.parent.iterdir()) == ["base"]


def test_a_checkpoint_that_no_row_names_is_none_to_begin_with(base):
    """As one that is being committed, or was when the process was killed."""
    newest = max(base.commits, key=lambda commit: commit.epoch).path
    (newest.parent / "epoch=00004-step=00000010-commit=0000099.ckpt").write_bytes(newest.read_bytes())
    assert base.forkable == [0, 1, 2, 3]
    assert base.fork("last", "fork").epoch == 3


def test_where_nothing_can_be_written_no_run_is_made_and_it_says_so(base):
    (base.folder.parent / "fork").mkdir()
    (base.folder.parent / "fork" / "checkpoints").write_text("a file")
    with pytest.raises(ForkError, match=r"fork\(epoch=1, run_id='fork'\): .*No run was made"):
        base.fork(1, "fork")
    (base.folder.parent / "fork" / "checkpoints").unlink()
    assert base.fork(1, "fork").epoch == 1


def test_of_two_forks_of_one_name_the_later_is_refused(base, monkeypatch):
    class Slower(RunLock):
        def acquire(self):
            """Another process forks the run, after this one has seen that the name is free."""
            monkeypatch.setattr(forking, "RunLock", RunLock)
            Run.open("base").fork(2, "fork")
            super().acquire()

    monkeypatch.setattr(forking, "RunLock", Slower)
    with pytest.raises(RunExistsError):
        base.fork(1, "fork")
    assert Run.open("fork").epoch == 2


def test_a_module_without_saved_hyperparameters_can_still_be_given_a_learning_rate():
    class Plain(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = DigitNet()
            self.automatic_optimization = True

        def training_step(self, batch, batch_idx):
            return torch.nn.functional.cross_entropy(self.net.network(batch[0]), batch[1])

        def validation_step(self, batch, batch_idx):
            self.log("val_loss", torch.nn.functional.cross_entropy(self.net.network(batch[0]), batch[1]))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    fit("plain", Plain())
    Run.open("plain").fork(1, "fork", {"lr": 0.5, "momentum": 0.5})
    _, rates = fit("fork", Plain())
    assert (rates[2]["lr"], rates[2]["momentum"]) == (0.5, 0.5)


def test_the_rows_of_a_fork_stay_as_small_as_those_of_its_parent(base):
    fit("long", max_epochs=40, checkpoints=Checkpoints(keep_last=40))
    fork = Run.open("long").fork(35, "fork")
    assert fork.history.to_dicts() == Run.open("long").history.to_dicts()[:36]
    with Run.open("long").rows() as rows, fork.rows() as forked:
        chained = [commit.sequence_id for commit in fork.commits]
        assert forked.stored(chained[-1]).before == rows.stored(chained[-1]).before
        assert len(chained) < 10


def test_a_fork_that_its_tracker_knows_the_parent_of_is_its_child_there(base, tmp_path):
    base.fork(1, "fork")
    fit("fork")
    tracked = tmp_path / "home" / ".burr" / "lightning"
    assert '"app_id":"fork"' in (tracked / "base" / "children.jsonl").read_text()
    assert '"app_id": "base", "sequence_id": 4' in (tracked / "fork" / "metadata.json").read_text()


def test_a_parent_that_is_not_tracked_gets_no_empty_folder(tmp_path):
    fit("base", tracker=False)
    Run.open("base").fork(1, "fork")
    fit("fork")
    assert [path.name for path in (tmp_path / "home" / ".burr" / "lightning").iterdir()] == ["fork"]


def test_other_data_is_refused_for_a_fork_as_for_a_resume(base):
    base.fork(1, "fork")
    with pytest.raises(ResumeError, match="was started on other data"):
        Trainer(max_epochs=4, callbacks=[BurrCallback("fork", monitor="val_loss")], **QUIET).fit(
            DigitNet(), *digit_loaders(samples=64)
        )


def test_runs_and_a_run_are_shown_in_a_notebook_with_their_text_escaped(base):
    base.fork(1, "fork", {"learning_rate": 0.5})
    html = list_runs()._repr_html_()
    assert html.count("<tr>") == 3
    assert "<td style='text-align:left'>base@1</td>" in html
    shown = base._repr_html_()
    assert "<polyline" in shown
    assert "max_epochs=4 was reached" in shown
    fit("evil", Evil())
    assert "&lt;b&gt;" in Run.open("evil")._repr_html_()
    assert "<b>bold" not in Run.open("evil")._repr_html_()


class Evil(DigitNet):
    def __init__(self):
        super().__init__()
        self.save_hyperparameters({"name": "<b>bold</b>"})


def test_the_metrics_of_a_run_are_a_data_frame(base):
    frame = base.to_pandas()
    assert list(frame.index) == [0, 1, 2, 3]
    assert frame["val_loss"].tolist() == base.history["val_loss"][:]


def test_commits_say_what_is_still_there():
    fit("base", checkpoints=Checkpoints(keep_last=1, keep_best=0))
    commits = Run.open("base").commits
    assert [(commit.epoch, commit.exists) for commit in commits if commit.action == "validate"] == [
        (0, False),
        (1, False),
        (2, False),
        (3, True),
    ]
    assert commits[0].action == "process_data"
    assert commits[0].path is None
    assert not commits[0].exists
