"""How long commits took: measured while a run trains, kept beside it, and of no weight for its resumes."""

import json
import logging
import threading
import time
from datetime import datetime

import pytest
from at_work import DEADLINE
from lightning.pytorch import seed_everything
from torch.utils.data import TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader
from trains_beside import LOSSES

from burr_lightning import BurrCallback, Checkpoints, Run, commit_times
from burr_lightning.commit_times import CommitTime, CommitTimes, read_commit_times
from burr_lightning.commits import writing
from burr_lightning.commits.committer import Committer
from burr_lightning.conditions import max_epochs
from burr_lightning.figures import timeline_figure, waits_of
from burr_lightning.plots import spent
from burr_lightning.testing import ScriptedModule, scripted_loader

FILE = "commit_times.jsonl"


@pytest.fixture
def fit(make_trainer):
    def train(run_id="a", epochs=3, loader=None, **options):
        seed_everything(1, verbose=False)
        burr = BurrCallback(run_id, monitor="val_loss", **options)
        trainer = make_trainer(burr, max_epochs=epochs)
        trainer.fit(ScriptedModule(val_loss=LOSSES), loader or scripted_loader(), scripted_loader())
        return burr.run

    return train


def totals(run):
    found = {}
    committed = {commit.sequence_id for commit in run.commits}
    for part in spent(run.path, waits_of(run), committed, read_commit_times(run.folder)):
        found[part.kind] = found.get(part.kind, 0.0) + part.seconds
    return found


def labels(run):
    figure = timeline_figure(run)
    return [label.get_text().split("  ")[0] for label in figure.axes[1].get_yticklabels()]


def test_each_commit_is_measured_with_when_it_was_made(fit):
    before = datetime.now()
    run = fit()
    times = read_commit_times(run.folder)
    assert {time.step for time in times} == {commit.sequence_id for commit in run.commits}
    assert all(before <= time.began <= time.ended <= datetime.now() for time in times)


def test_a_slow_disk_is_seen_as_commits_and_as_nothing_else(fit, monkeypatch):
    write, written = writing.write_durably, []
    monkeypatch.setattr(
        writing, "write_durably", lambda *given: (time.sleep(0.2), written.append(given), write(*given))[-1]
    )
    run = fit("slow")
    taken, whole = totals(run), run.path[-1].ended - run.path[0].started
    assert len(written) >= 3
    assert taken["commit"] >= 0.2 * len(written)
    assert sum(taken.values()) == pytest.approx(whole.total_seconds(), abs=0.001)


def test_a_commit_inside_an_epoch_is_no_training(fit, monkeypatch):
    write = writing.write_durably
    monkeypatch.setattr(writing, "write_durably", lambda *given: time.sleep(0.1) or write(*given))
    data = TensorDataset(*scripted_loader(8).dataset.tensors)
    run = fit(loader=StatefulDataLoader(data), checkpoints=Checkpoints(every_n_steps=2), epochs=2)
    inside = [
        (commit.ended - commit.began).total_seconds()
        for commit in read_commit_times(run.folder)
        for step in run.path
        if step.action == "train_epoch" and step.started < commit.began and commit.ended < step.ended
    ]
    assert len(inside) >= 4
    taken = totals(run)
    training = sum(step.seconds for step in run.path if step.action == "train_epoch")
    assert taken["train"] == pytest.approx(training - sum(inside))
    assert sum(taken.values()) == pytest.approx(
        (run.path[-1].ended - run.path[0].started).total_seconds(), abs=0.001
    )


def test_where_checkpoints_are_written_meanwhile_the_waiting_for_them_counts(fit, monkeypatch):
    write, settle, is_waited_for = writing.write_durably, Committer.settle, threading.Event()

    def settles(committer, *, wait):
        if wait and committer.is_writing:
            is_waited_for.set()
        settle(committer, wait=wait)
        is_waited_for.clear()

    def write_slowly(*given):
        assert is_waited_for.wait(DEADLINE)  # on a busy machine it would be written before
        time.sleep(0.2)
        write(*given)

    monkeypatch.setattr(Committer, "settle", settles)
    monkeypatch.setattr(writing, "write_durably", write_slowly)
    run = fit(checkpoints=Checkpoints(asynchronous=True))
    whole = (run.path[-1].ended - run.path[0].started).total_seconds()
    assert 0.3 < totals(run)["commit"] < whole


def test_the_figure_of_a_run_of_an_older_version_says_what_it_said(fit):
    run = fit()
    assert "commits" in labels(run)
    (run.folder / FILE).unlink()
    shown = labels(run)
    assert "gaps with a commit" in shown
    assert "commits" not in shown


def test_the_file_holds_nothing_that_a_resume_needs(fit):
    whole = fit("whole", epochs=4)
    fit("cut", epochs=2)
    (Run.open("cut").folder / FILE).write_text("no JSON")
    cut = fit("cut", epochs=4)
    assert cut.history == whole.history
    assert cut.state.get_all().keys() == whole.state.get_all().keys()
    assert cut.verify().sound
    assert {time.step for time in read_commit_times(cut.folder)} < {c.sequence_id for c in cut.commits}


def test_a_fork_has_its_own(fit):
    run = fit(checkpoints=Checkpoints(keep_last=9))
    fork = run.fork(1, "fork")
    assert read_commit_times(fork.folder) == []
    first = max(commit.sequence_id for commit in fork.commits)
    fit("fork")
    assert min(time.step for time in read_commit_times(fork.folder)) > first


def test_where_it_cannot_be_written_the_training_goes_on_and_that_is_said_once(fit, caplog):
    run = fit(epochs=1)
    (run.folder / FILE).unlink()
    (run.folder / FILE).mkdir()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert fit(epochs=4).epoch == 3
    assert len([record for record in caplog.records if "How long commits take" in record.message]) == 1
    assert read_commit_times(run.folder) == []


def test_a_pause_is_measured_before_the_waiting(fit):
    fit(review_when=max_epochs(2), epochs=4)
    run = Run.open("a")
    [asked] = run.reviews
    assert all(
        commit.ended.timestamp() <= asked.question.asked + 1 for commit in read_commit_times(run.folder)
    )
    run.answer("go")
    assert totals(fit(review_when=max_epochs(2), epochs=4))["commit"] > 0


class TestFile:
    def test_a_torn_line_costs_only_itself(self, tmp_path):
        with CommitTimes(tmp_path).measured(1):
            pass
        with open(tmp_path / FILE, "a") as file:
            file.write('\n{"step": 2, "beg')
        with CommitTimes(tmp_path).measured(3):
            pass
        assert [time.step for time in read_commit_times(tmp_path)] == [1, 3]

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "[]",
            "7",
            '{"step": 1}',
            '{"step": "x", "began": 1, "seconds": 1}',
            '{"began": 1e99, "step": 1}',
        ],
    )
    def test_what_is_no_entry_is_left_out(self, tmp_path, line):
        (tmp_path / FILE).write_text(line)
        assert read_commit_times(tmp_path) == []

    def test_it_is_read_in_order(self, tmp_path):
        entries = [{"step": step, "began": 100.0 - step, "seconds": 0.5} for step in range(3)]
        (tmp_path / FILE).write_text("\n".join(map(json.dumps, entries)))
        found = read_commit_times(tmp_path)
        assert [time.step for time in found] == [2, 1, 0]
        began = datetime.fromtimestamp(98.0)
        assert found[0] == CommitTime(2, began, datetime.fromtimestamp(98.5))

    def test_a_wait_for_nothing_and_a_machine_without_a_step_leave_none(self, tmp_path, monkeypatch):
        least, times = commit_times._LEAST, CommitTimes(tmp_path)
        monkeypatch.setattr(commit_times, "_LEAST", DEADLINE)  # a busy machine may stop this process in it
        with times.measured(1, waits=True), times.measured(None):
            pass
        assert read_commit_times(tmp_path) == []
        monkeypatch.setattr(commit_times, "_LEAST", least)
        with times.measured(1, waits=True):
            time.sleep(0.01)
        assert [(one.ended - one.began).total_seconds() >= 0.01 for one in read_commit_times(tmp_path)] == [
            True
        ]

    def test_a_commit_that_fails_took_its_time_too(self, tmp_path):
        with pytest.raises(OSError, match="full"), CommitTimes(tmp_path).measured(4):
            raise OSError("full")
        assert [time.step for time in read_commit_times(tmp_path)] == [4]
