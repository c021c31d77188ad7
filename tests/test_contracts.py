"""The contracts for users' own parts: ours keep them, and parts that break a rule are told which."""

import os
import random

import numpy as np
import pytest
import torch
from burr.core import Condition, action
from burr.core.persistence import InMemoryPersister, SQLitePersister

from burr_lightning import BurrCallback
from burr_lightning.actions import Freeze, OrdinaryAction, RestartSchedule, SetLearningRate
from burr_lightning.conditions import (
    StopCondition,
    diverged,
    max_epochs,
    max_steps,
    not_finite,
    plateau,
    reached,
)
from burr_lightning.machines import in_this_stage
from burr_lightning.pausing import Block
from burr_lightning.persisters import PersisterUrl, connected
from burr_lightning.testing import (
    ScriptedHuman,
    check_action,
    check_condition,
    check_persister,
    scripted_run,
)

HISTORY = [{"val_loss": value, "val_acc": 1 - value} for value in (0.9, 0.5, 0.6, 0.7, 9.0)]
HISTORY[0].pop("val_acc")


def numpys_truth():
    return StopCondition("numpys", ["epoch"], lambda state: (np.int64(state["epoch"]) >= 2, "two"))


@pytest.mark.parametrize(
    ("condition", "epoch"),
    [
        (plateau("val_loss", 2), 3),
        (reached("val_acc", 0.45, mode="max"), 1),
        (diverged("val_loss", 5.0) & ~max_epochs(2), None),
        (not_finite("val_loss"), None),
        (Condition.expr("epoch >= 2"), 2),
        (Condition.expr("best is not None"), None),
        (in_this_stage(max_epochs(2)), 1),
        (max_steps(4), 3),
        (numpys_truth(), 2),
        (Condition.expr("epoch >= 2") & plateau("val_loss", 1), 2),
    ],
    ids=str,
)
def test_conditions_keep_their_contract(condition, epoch):
    assert check_condition(condition, HISTORY) == epoch


def counting():
    asked = []
    return StopCondition(
        "counts", ["epoch"], lambda state: (asked.append(1) or len(asked) % 2 == 0, "asked again")
    )


def remembering():
    seen = [-1]

    def check(state):
        seen[0] = max(seen[0], state["epoch"])
        return seen[0] >= 2, f"epoch {seen[0]}"

    return StopCondition("remembers", ["epoch"], check)


def undeclared():
    return StopCondition("hidden", ["epoch"], lambda state: (state["metrics"].get("val_loss", 0) > 5, "high"))


def silent():
    return StopCondition("silent", ["epoch"], lambda state: (state["epoch"] == 2, ""))


def too_early():
    return Condition(["metrics"], lambda state: state["metrics"]["val_loss"] < 0.6, name="too_early")


def changing():
    return Condition(["metrics"], lambda state: bool(state["metrics"].clear()), name="changing")


def replayed_otherwise():
    return StopCondition(
        "otherwise",
        ["epoch"],
        lambda state: (state["epoch"] == 2, "epoch 2"),
        over=plateau("val_loss", 1).over,
    )


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (counting, "counts, asked twice before the first epoch, says different things"),
        (remembering, "remembers: after epoch 1 it said False, and True"),
        (undeclared, r"declares the keys \['epoch'\], and fails"),
        (silent, "silent holds after epoch 2, and gives no reason"),
        (too_early, "too_early fails before the first epoch: KeyError"),
        (changing, "changing changes the state after epoch 0"),
        (replayed_otherwise, "otherwise says .* of a run, and .* of its recording"),
    ],
)
def test_a_condition_that_breaks_a_rule_is_told_which(make, rule):
    with pytest.raises(AssertionError, match=rule):
        check_condition(make(), HISTORY)


def test_a_check_of_an_action_leaves_the_random_numbers_as_they_were(monkeypatch):
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    before = torch.get_rng_state(), random.getstate()
    check_action(SetLearningRate(factor=0.5))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert "PL_GLOBAL_SEED" not in os.environ


def test_a_scripted_human_finds_the_run_wherever_it_is_kept(tmp_path):
    human = ScriptedHuman("no-go")
    asks = {"review_when": max_epochs(1), "wait": Block(timeout=60), "on_pause": human}
    burr = BurrCallback("asked", monitor="val_loss", root_dir=tmp_path / "elsewhere", **asks)
    run = scripted_run(burr, val_loss=[0.9, 0.5, 0.4])
    assert (run.status, run.epoch) == ("finished", 0)
    assert [question.epoch for question in human.asked] == [0]


def test_a_scripted_human_whose_answers_are_given_leaves_the_question_open():
    human = ScriptedHuman("go")
    burr = BurrCallback("asks", monitor="val_loss", review_when=max_epochs(1), on_pause=human)
    assert scripted_run(burr, val_loss=[0.9, 0.5, 0.4]).status == "paused"
    again = BurrCallback("asks", monitor="val_loss", review_when=max_epochs(1), on_pause=human)
    run = scripted_run(again, val_loss=[0.9, 0.5, 0.4])
    assert (run.status, run.epoch, len(human.asked)) == ("paused", 1, 1)


@pytest.mark.parametrize(
    "ready_made", [SetLearningRate(factor=0.5), Freeze("layer.bias"), RestartSchedule(lr_factor=0.5)]
)
def test_ready_made_actions_keep_their_contract(ready_made):
    assert check_action(ready_made).keys() == set(ready_made.writes)


class KeepsToItself(OrdinaryAction):
    """Counts in itself, which no row knows of."""

    WRITES = ("count",)
    counted = 0

    def run(self, state, **inputs):
        KeepsToItself.counted += 1
        return {"count": KeepsToItself.counted}


@action(reads=["epoch"], writes=[])
def stops(state, trainer):
    trainer.should_stop = state["epoch"] == 1
    return state


def test_a_run_that_ends_by_itself_is_no_run_that_was_interrupted():
    with pytest.raises(AssertionError, match="ended before its third epoch"):
        check_action(stops)


def test_an_action_that_keeps_something_to_itself_is_told_so():
    with pytest.raises(
        AssertionError, match=r"has count=\d+; at one go it is 4\. An action may keep nothing"
    ):
        check_action(KeepsToItself())


@action(reads=[], writes=[])
def shakes(state, pl_module):
    with_luck = random.SystemRandom().random()
    pl_module.layer.weight.data.mul_(with_luck)
    return state


def test_an_action_that_does_something_else_each_time_is_told_so():
    with pytest.raises(AssertionError, match=r"other weights in \['layer\.weight'"):
        check_action(shakes)


def in_sqlite():
    persister = SQLitePersister("rows.db")
    persister.initialize()
    return persister


def test_burr_s_persister_and_ours_keep_their_contract():
    check_persister(in_sqlite)
    check_persister(lambda: connected(PersisterUrl.parse("sqlite:///ours.db"), "run"))


def test_a_persister_that_forgets_is_told_so():
    with pytest.raises(AssertionError, match="It has lost the row of step 0"):
        check_persister(InMemoryPersister)


class MixesRunsUp(SQLitePersister):
    def load(self, partition_key, app_id, sequence_id=None, **kwargs):
        return super().load(partition_key, "another" if sequence_id is None else app_id, sequence_id)


def test_a_persister_that_mixes_runs_up_is_told_so():
    def opens():
        persister = MixesRunsUp("mixed.db")
        persister.initialize()
        return persister

    with pytest.raises(AssertionError, match="says that the newest row is"):
        check_persister(opens)
