"""A population that trains: its runs are forks, with the weights of their parents and rates of their own."""

import logging
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from at_work import CLI
from population_runs import POPULATION, SPACE, Cut, Line, die_once, fit, noted, study, told, train

from burr_lightning import Run
from burr_lightning.commits.checkpoints import Checkpoints
from burr_lightning.errors import UnknownMonitorError
from burr_lightning.runs import list_runs
from burr_lightning.tuning import Study, Trial
from burr_lightning.tuning.local import LocalProcesses


def weights_of(run_id):
    """The weights and the momentum that a run ends with."""
    checkpoint = torch.load(Run.open(run_id).last_checkpoint, weights_only=False)
    first = next(iter(checkpoint["optimizer_states"][0]["state"].values()))
    return checkpoint["state_dict"]["layers.1.weight"].tolist(), first["momentum_buffer"].tolist()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study that nothing has interrupted; it is read only."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "home"))
        patch.setenv("BURR_LIGHTNING_HOME", str(folder / "runs"))
        patch.chdir(folder)
        ran = study("whole").run()
        yield ran, noted(), folder / "runs"


@pytest.fixture
def its_runs(whole, monkeypatch):
    """Where the runs of that study are found."""
    monkeypatch.setenv("BURR_LIGHTNING_HOME", str(whole[2]))


def test_all_members_train_as_long_and_weak_ones_are_given_up(whole):
    ran, _, _ = whole
    assert {trial.status for trial in ran.trials} == {"finished"}
    assert [trial.member for trial in ran.trials] == [0, 1, 2, 3] * 3
    assert [trial.segment.max_epochs for trial in ran.trials] == [2] * 4 + [4] * 4 + [6] * 4
    others = [trial for trial in ran.trials if trial.parent is not None and trial.parent != trial.number - 4]
    assert len(others) == 2  # one of four in each round
    for trial in others:
        assert trial.params != ran.trials[trial.parent].params
        peers = ran.trials[trial.number - trial.number % 4 - 4 : trial.number - trial.number % 4]
        assert ran.trials[trial.parent] == min(peers, key=lambda peer: peer.value)


def test_the_value_of_a_trial_is_that_of_the_weights_it_ends_with(whole, its_runs):
    ran, _, _ = whole
    for trial in ran.trials:
        assert trial.value == Run.open(trial.run_id).history["val_loss"][-1]
    assert ran.best == min(ran.trials, key=lambda trial: trial.value)
    frame = ran.to_pandas()
    assert list(frame["member"]) == [0, 1, 2, 3] * 3
    assert list(frame["parent"][4:]) == [trial.parent for trial in ran.trials[4:]]
    assert ran.to_optuna().best_value == ran.best.value


def test_each_trial_is_a_fork_of_its_parent_s_run_at_its_last_epoch(whole, its_runs):
    ran, _, _ = whole
    for trial in ran.trials:
        run = Run.open(trial.run_id)
        assert len(run.history) == trial.segment.max_epochs
        if trial.parent is None:
            assert run.parent is None
        else:
            assert str(run.parent) == f"whole-{trial.parent}@{trial.segment.max_epochs - 3}"
    stored = Study.open("whole")
    assert stored.trials == ran.trials


def test_the_lineage_is_a_tree(whole, its_runs):
    ran, _, _ = whole
    wide = {**os.environ, "COLUMNS": "200"}
    shown = subprocess.run([*CLI, "runs", "--tree"], capture_output=True, text=True, check=True, env=wide)
    lines = re.findall(r"^[│├└─ ]*whole-\d+", shown.stdout, re.MULTILINE)

    def below(number, before=""):
        children = [trial.number for trial in ran.trials if trial.parent == number]
        for child in children:
            last = child == children[-1]
            yield f"{before}{'└─ ' if last else '├─ '}whole-{child}"
            yield from below(child, before + ("   " if last else "│  "))

    expected = {f"whole-{root}": list(below(root)) for root in range(4)}
    found = {}
    for line in lines:
        if line in expected:
            under = found[line] = []
        else:
            under.append(line)
    assert found == expected


def test_it_begins_with_the_weights_and_the_momentum_that_its_parent_ended_with(whole, its_runs):
    ran, began, _ = whole
    for trial in ran.trials[4:]:
        facts = began[trial.number, 1]
        assert (facts["weights"], facts["buffer"]) == weights_of(f"whole-{trial.parent}")
        assert facts["epoch"] == trial.segment.max_epochs - 2


def test_who_goes_on_as_it_was_comes_to_what_one_long_run_comes_to(whole):
    ran, _, root = whole
    [*_, last] = [each for each in ran.trials if each.params == ran.trials[each.number % 4].params]
    assert (last.parent, last.segment.max_epochs) == (last.number - 4, 6)
    task = study("long").settings.task(ran.trials[last.member], 0)
    fit(Trial(replace(task, run_id="long", segment=None)), max_epochs=6)
    in_parts = Run.open(last.run_id, root_dir=root)
    assert Run.open("long").history["val_loss"][:] == in_parts.history["val_loss"][:]


def test_it_trains_with_its_own_hyperparameters_whatever_the_parent_had(whole, its_runs):
    ran, began, _ = whole
    for trial in ran.trials:
        facts = began[trial.number, 1]
        assert {name: facts[name] for name in SPACE} == pytest.approx(dict(trial.params), rel=1e-12)
        assert Run.open(trial.run_id).hparams == dict(trial.params)


@pytest.mark.parametrize("at", [0, 1, 3, 4, 6, 8, 11])
def test_interrupted_before_any_trial_it_comes_to_the_same(whole, at):
    with pytest.raises(Cut):
        study("cut", interrupted_at=at).run()
    assert len(list_runs()) == at
    assert told(study("cut").run()) == told(whole[0])


def interrupt(*args):
    raise Cut


@pytest.mark.parametrize(
    "moment", ["before its first batch", "in its first epoch", "in its last epoch", "after it"]
)
def test_interrupted_in_the_middle_of_a_segment_it_comes_to_the_same(whole, moment):
    """Also where the fork was made and nothing is trained of it yet: it is not made again."""
    begun = []

    class Cut5(Line):
        def on_train_start(self):
            if moment == "before its first batch" and begun.count(5) == 1:
                interrupt()

    def interrupted(trial):
        begun.append(trial.number)
        if trial.number != 5 or begun.count(5) > 1:
            return train(trial)
        step = {"in its first epoch": 10, "in its last epoch": 14}.get(moment)
        fit(trial, Cut5, end=(step, interrupt) if step else None)
        return interrupt()

    with pytest.raises(Cut):
        study("cut", interrupted).run()
    assert Run.open("cut-5").parent.run_id == f"cut-{whole[0].trials[5].parent}"
    made = Run.open("cut-5").created
    assert told(study("cut", interrupted).run()) == told(whole[0])
    assert begun == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11]
    assert Run.open("cut-5").created == made


@pytest.fixture(scope="module")
def pool():
    """Its fork server has imported everything once and for all."""
    with LocalProcesses(2) as shared:
        yield shared


def test_a_worker_that_is_killed_in_a_segment_costs_nothing(whole, pool, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
    ran = study("killed", die_once, executor=pool, parallel=1).run()
    assert [trial.attempts for trial in ran.trials] == [1] * 6 + [2] + [1] * 5
    assert told(ran) == told(whole[0])
    assert noted()[6, 2]["epoch"] == 3


def test_side_by_side_no_member_trains_twice_at_once(pool, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]))
    ran = study("beside", executor=pool, parallel=2).run()
    under_way, most = {}, 0
    for event in ran.ledger.chunk(0)["events"]:
        member = ran.trials[event["trial"]].member
        if event["what"] == "launched":
            assert member not in under_way
            under_way[member] = event["trial"]
            most = max(most, len(under_way))
        elif event["what"] == "ended":
            del under_way[member]
    assert most == 2
    assert {trial.status for trial in ran.trials} == {"finished"}


def test_what_the_objective_builds_from_its_parameters_needs_no_warning(whole, caplog):
    with caplog.at_level(logging.WARNING):
        assert told(study("quiet").run()) == told(whole[0])
    assert "The fork changes" not in caplog.text
    assert "does not know" not in caplog.text


def fails_at(numbers, how):
    def objective(trial):
        if trial.number in numbers:
            return how(trial)
        return train(trial)

    return objective


def raises(trial):
    raise ZeroDivisionError("no memory")


class Diverged(Line):
    def validation_step(self, batch, batch_idx):
        self.log("val_loss", torch.tensor(float("nan")))


class Silent(Line):
    def validation_step(self, batch, batch_idx):
        pass


def diverges(trial):
    fit(trial, Diverged)


def trains_nothing(trial):
    fit(trial, max_epochs=2)


def trains_without(trial):
    return 1.0


def logs_nothing(trial):
    fit(trial, Silent, monitor=None)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (raises, "ZeroDivisionError: no memory"),
        (diverges, "val_loss is nan after epoch 3: the member has diverged"),
        (
            trains_nothing,
            r"trial 5 goes on after epoch 1, and its run ended there (max_epochs=2 was reached)",
        ),
        (trains_nothing, "Give Trainer(max_epochs=trial.max_epochs), which is 4"),
        (trains_without, "The objective trained no run of trial.callback(), and a member"),
    ],
)
def test_a_segment_that_fails_says_why_and_its_member_exploits(how, said):
    ran = study("fails", fails_at({5}, how), n_trials=10).run()
    assert (ran.trials[5].status, ran.trials[5].member) == ("failed", 1)
    assert said in ran.trials[5].reason
    again = ran.trials[9]
    assert (again.status, again.member, again.segment.max_epochs) == ("finished", 1, 6)
    peers = [trial for trial in ran.trials[4:8] if trial.status == "finished"]
    assert ran.trials[again.parent] in peers
    assert again.params != ran.trials[again.parent].params


def test_a_segment_that_logs_nothing_says_so():
    with pytest.raises(UnknownMonitorError, match="Metrics that it logged: none"):
        study("silent", logs_nothing, n_trials=1).run()


def test_where_all_have_failed_members_begin_anew():
    ran = study("anew", fails_at({0, 1, 2, 3}, raises), n_trials=5).run()
    assert (ran.trials[4].status, ran.trials[4].parent, ran.trials[4].segment.max_epochs) == (
        "finished",
        None,
        2,
    )
    assert ran.trials[4].params != ran.trials[0].params


def test_the_value_that_an_objective_returns_counts():
    def returned(trial):
        train(trial)
        return float(-trial.number)

    ran = study("returned", returned, n_trials=5).run()
    assert [trial.value for trial in ran.trials] == [0.0, -1.0, -2.0, -3.0, -4.0]
    assert ran.trials[4].parent == 3


def test_a_parent_that_was_deleted_is_told_of():
    def deletes(trial):
        if trial.number == 5:
            for run in list_runs():
                if run.run_id == f"gone-{trial.parent}":
                    (run.folder / "run.json").unlink()
        train(trial)

    ran = study("gone", deletes, n_trials=6).run()
    parent = ran.trials[5].parent
    said = f"Trial 5 goes on from trial {parent}, and there is no run 'gone-{parent}': it was deleted"
    assert said in ran.trials[5].reason


def test_few_checkpoints_are_enough():
    def few(trial):
        fit(trial, checkpoints=Checkpoints(keep_last=1, keep_best=0))

    ran = study("few", few, n_trials=8).run()
    assert {trial.status for trial in ran.trials} == {"finished"}
    assert [len(list((run.folder / "checkpoints").iterdir())) for run in list_runs()] == [1] * 8


def test_burr_s_page_has_a_trial_under_its_study_and_knows_what_it_was_forked_from(tmp_path):
    study("tracked", n_trials=6, tracker=True).run()
    tracked = tmp_path / "home" / ".burr" / "lightning"
    parent = Run.open("tracked-5").parent.run_id
    metadata = (tracked / "tracked-5" / "metadata.json").read_text()
    assert '"app_id": "tracked"' in metadata
    assert f'"app_id": "{parent}"' in metadata
    assert '"app_id":"tracked-5"' in (tracked / parent / "children.jsonl").read_text()
    assert '"app_id":"tracked-5"' in (tracked / "tracked" / "children.jsonl").read_text()


def test_a_study_can_be_given_more_trials_and_longer_segments(whole):
    study("more", n_trials=8).run()
    longer = study("more", n_trials=12).run()
    assert told(longer) == told(whole[0])
    epochs = POPULATION.__class__(population=4, epochs=3)
    more = study("more", n_trials=13, sampler=epochs).run()
    assert more.trials[12].segment.max_epochs == 9
    assert len(Run.open("more-12").history) == 9


def test_a_trial_without_a_population_has_no_member():
    seen = []
    study(
        "plain",
        lambda trial: seen.append((trial.member, trial.parent, trial.max_epochs)) or 1.0,
        sampler=None,
        n_trials=1,
    ).run()
    assert seen == [(None, None, None)]
