"""When commits are made and what they keep, in real training."""

import pytest
import torch
from digits import DigitNet, digit_loaders, weights_hash
from lightning.pytorch import seed_everything

from burr_lightning import BurrCallback, Checkpoints, Run
from burr_lightning.commits.checkpoints import CheckpointName
from burr_lightning.commits.files import Stream, sha256
from burr_lightning.testing import ScriptedModule, scripted_loader


def scripted(make_trainer, losses, **policy):
    burr = BurrCallback(run_id="a", monitor="val_loss", checkpoints=Checkpoints(**policy))
    trainer = make_trainer(burr, max_epochs=len(losses))
    trainer.fit(ScriptedModule(val_loss=losses), scripted_loader(), scripted_loader())
    return burr


def epochs_on_disk(run):
    names = [CheckpointName.parse(path) for path in (run.folder / "checkpoints").iterdir()]
    return sorted(name.epoch for name in names if not name.weights)


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({"every_n_epochs": 3, "keep_best": 0}, [2, 5, 6]),
        ({"every_n_epochs": 100, "keep_best": 0}, [6]),
        ({"every_n_epochs": 100, "keep_best": 1}, [0, 1, 4, 6]),
    ],
)
def test_commits_at_every_nth_epoch_at_the_best_and_at_the_last(make_trainer, policy, kept):
    burr = scripted(make_trainer, [0.5, 0.4, 0.6, 0.7, 0.3, 0.9, 0.8], keep_last=9, **policy)
    assert epochs_on_disk(burr.run) == kept
    assert burr.run.status == "finished"
    assert burr.run.best["epoch"] == 4
    assert len(burr.run.history) == 7


def test_the_best_weights_alone_are_smaller_and_are_what_best_model_names(make_trainer):
    seed_everything(1)
    policy = Checkpoints(keep_last=1, save_weights_only_best=True)
    burr = BurrCallback(run_id="a", monitor="val_loss", checkpoints=policy)
    make_trainer(burr, max_epochs=3).fit(DigitNet(), *digit_loaders())
    best, last = burr.run.best_checkpoint, burr.run.last_checkpoint
    assert best.name.endswith("-weights.ckpt")
    assert best.stat().st_size < 0.6 * last.stat().st_size
    content = torch.load(best)
    assert "optimizer_states" not in content
    loaded = DigitNet.load_from_checkpoint(best)
    assert weights_hash(loaded) == weights_hash(DigitNet.load_from_checkpoint(last))


def test_asynchronous_saving_changes_nothing_about_the_training(make_trainer):
    def trained(run_id, **policy):
        seed_everything(1)
        burr = BurrCallback(run_id=run_id, monitor="val_loss", checkpoints=Checkpoints(**policy))
        trainer = make_trainer(burr, max_epochs=4)
        trainer.fit(DigitNet(), *digit_loaders())
        return trainer.lightning_module

    assert weights_hash(trained("a")) == weights_hash(trained("b", asynchronous=True))
    now, later = Run.open("a"), Run.open("b")
    assert later.history == now.history
    assert later.best == now.best
    assert later.state["checkpoint"].keys() == now.state["checkpoint"].keys()
    for run in (now, later):
        assert sha256(run.last_checkpoint) == run.state["checkpoint"]["sha256"]
        assert len(list((run.folder / "checkpoints").iterdir())) == 2


def test_a_large_file_is_hashed_while_it_is_written(tmp_path):
    stream = Stream(tmp_path / "large")
    pieces = [bytes([number]) * 1_700_000 for number in range(5)]
    for piece in pieces:
        assert stream.write(memoryview(piece)) == len(piece)
    digest = stream.digest()
    stream.close()
    assert (tmp_path / "large").read_bytes() == b"".join(pieces)
    assert digest == sha256(tmp_path / "large")


def test_the_loops_of_a_trainer_are_left_as_they_were(make_trainer):
    def loops_after_fit(**limits):
        trainer = make_trainer(BurrCallback(run_id="a"), **limits)
        trainer.fit(ScriptedModule(val_loss=[0.5, 0.4]), scripted_loader(), scripted_loader())
        loop = trainer.fit_loop
        return [name for part in (loop, loop.epoch_loop, loop.epoch_loop.val_loop) for name in vars(part)]

    trained, finished = loops_after_fit(max_epochs=1), loops_after_fit(max_epochs=1)
    for name in ("on_advance_start", "on_advance_end", "setup_data"):
        assert name not in trained
        assert name not in finished
