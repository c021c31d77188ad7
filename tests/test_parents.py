"""Which run a fork was forked from: that one, and not another of its name."""

import json

import pytest
from click.testing import CliRunner
from desk_runs import change_json
from digits import DigitNet, digit_loaders
from lightning.pytorch import Trainer

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.cli import main
from burr_lightning.errors import EpochNotForkableError
from burr_lightning.figures import branches_of, overlay_figure


def fit(run_id, max_epochs=4):
    burr = BurrCallback(run_id, monitor="val_loss", checkpoints=Checkpoints(keep_last=9))
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_epochs=max_epochs, callbacks=[burr], accelerator="cpu", **quiet)
    trainer.fit(DigitNet(), *digit_loaders(samples=128))


@pytest.fixture
def base():
    """A run of four epochs, whose checkpoints are all there."""
    fit("base")
    return Run.open("base")


def cli(*arguments):
    done = CliRunner().invoke(main, [*map(str, arguments)])
    assert done.exception is None, done.output + repr(done.exception)
    return done.output


def in_tree():
    lines = cli("runs", "--tree").splitlines()[1:]
    return [line.partition("lightning")[0].rstrip() for line in lines]


@pytest.fixture
def another_base(base):
    """A fork ``kid`` of epoch 2, whose parent is deleted; there is another run of that one's name."""
    base.fork(2, "kid")
    cli("delete", "base", "--yes")
    fit("base", max_epochs=2)
    return Run.open("base")


def test_a_later_run_of_a_parents_name_is_not_the_parent(another_base):
    kid = Run.open("kid")
    assert (another_base.children(), kid.parent_is_there, str(kid.parent)) == ([], False, "base@2")
    assert in_tree() == ["base", "kid"]
    assert "forks" not in cli("show", "base")
    assert "forked from      base, after epoch 2, which is deleted" in cli("show", "kid")
    assert "forked from base@2, which is deleted" in cli("watch", "kid", "--once")
    assert json.loads(cli("delete", "base", "--json"))[0]["forks"] == []


def test_in_figures_a_later_run_of_a_parents_name_is_not_the_parent(another_base):
    fit("kid")
    kid = Run.open("kid")
    lines = overlay_figure([another_base, kid], ["val_loss"]).axes[0].get_lines()
    [drawn] = [line for line in lines if line.get_label() == "kid"]
    assert list(drawn.get_xdata()) == [0, 1, 2, 3]
    [branch] = [branch for branch in branches_of([another_base, kid]) if branch.run_id == "kid"]
    assert branch.parent == "base (deleted)"


def test_burrs_page_has_no_fork_under_a_later_run_of_its_parents_name(another_base, tmp_path):
    fit("kid")
    assert not (tmp_path / "home" / ".burr" / "lightning" / "base" / "children.jsonl").exists()


def test_an_epoch_of_a_parent_that_is_deleted_is_not_sent_for_there(another_base):
    with pytest.raises(EpochNotForkableError, match="'base' has trained it, which is deleted"):
        Run.open("kid").fork(1)
    with pytest.raises(EpochNotForkableError, match="'base' has trained it, so fork that run"):
        another_base.fork(1, "young").fork(0)


def test_a_fork_may_have_the_name_of_its_deleted_grandparent(base):
    base.fork(2, "kid")
    cli("delete", "base", "--yes")
    cli("fork", "kid", "base")
    assert in_tree() == ["kid", "└─ base (from epoch 2)"]


def test_runs_that_older_files_make_each_others_parents_are_each_listed_once(base):
    base.fork(2, "kid")
    parent = {"run_id": "kid", "epoch": 2, "sequence_id": 6}
    change_json(base.folder / "run.json", parent=parent)
    assert in_tree() == ["kid", "└─ base (from epoch 2)"]
    fit("third", max_epochs=1)
    assert in_tree() == ["third", "kid", "└─ base (from epoch 2)"]


def test_a_fork_of_an_older_version_belongs_to_the_run_of_the_name(base):
    kid = base.fork(2, "kid")
    parent = {"run_id": "base", "epoch": 2, "sequence_id": 6}
    change_json(kid.folder / "run.json", parent=parent)
    assert in_tree() == ["base", "└─ kid (from epoch 2)"]
    assert [child.run_id for child in base.children()] == ["kid"]
