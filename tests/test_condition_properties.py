"""A condition gives the same answer while a run goes on, after a resume, and replayed from scratch."""

import json
import math
import pickle

import pytest
from burr.core import Condition, State
from burr.core.persistence import SQLitePersister
from hypothesis import given, settings
from hypothesis import strategies as st

from burr_lightning.conditions import (
    consecutive_increases,
    diverged,
    explain,
    generalization_loss,
    max_epochs,
    max_steps,
    max_time,
    not_finite,
    overfitting,
    parse_condition,
    plateau,
    progress_quotient,
    reached,
    slope_below,
    spike,
)
from burr_lightning.conditions.replayed import states, truths
from burr_lightning.history import MetricHistory
from burr_lightning.rows import StateRows
from burr_lightning.state import PhaseReport, initial_state, recorded

EACH = [
    plateau("val", 2),
    plateau("val", 0, min_delta=0.5, mode="max"),
    plateau("val", 2, count="epochs"),
    reached("val", 1.0),
    reached("val", 1.0, mode="max"),
    diverged("val", 2.0),
    not_finite("val"),
    max_epochs(3),
    max_steps(25),
    max_time(4.0),
    overfitting("train", "val", 1),
    overfitting("train", "val", 2, min_delta=0.2, mode="max"),
    slope_below("val", 0.1, window=3),
    spike("val", threshold=2.0, window=3),
    spike("train", window=4, min_delta=0.5, mode="max"),
    generalization_loss("val", 20),
    progress_quotient("train", "val", 0.1, strip=2),
    consecutive_increases("val", 1, strip=2),
    consecutive_increases("val", 2, strip=1, mode="max"),
    Condition.expr("epoch >= 2"),
]
VALUES = st.sampled_from(
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 10.0, -1.0, math.nan, math.inf, -math.inf]
)
CHECKS = st.lists(
    st.tuples(
        st.fixed_dictionaries({}, optional={"train": VALUES, "val": VALUES}),
        st.booleans(),  # whether the epoch ends with it
        st.integers(0, 1),  # epochs that are left out after it
    ),
    max_size=25,
)
CONDITIONS = st.recursive(
    st.sampled_from(EACH),
    lambda parts: st.one_of(
        parts.map(lambda part: ~part),
        st.tuples(parts, parts).map(lambda both: both[0] & both[1]),
        st.tuples(parts, parts).map(lambda both: both[0] | both[1]),
    ),
    max_leaves=6,
)
MANY = settings(max_examples=200)
FEWER = settings(MANY, max_examples=60)


def histories_of(checks):
    """The history after each check, as it grows."""
    history, epoch = MetricHistory(), 0
    grown = []
    for number, (metrics, ends_epoch, left_out) in enumerate(checks):
        step, seconds = 10 * (number + 1), 1.5 * (number + 1)
        history = history.append(epoch, metrics, ends_epoch=ends_epoch, step=step, seconds=seconds)
        grown.append(history)
        epoch += 1 + left_out if ends_epoch else 0
    return grown


def state_of(history):
    """What a run's state says beside its history."""
    recording = history.recording()
    return State(
        {
            "history": history,
            "epoch": len(history) - 1,
            "global_step": int(recording.steps[-1]),
            "seconds": float(recording.seconds[-1]),
        }
    )


def truth(condition, state):
    return explain(condition, state).truth


def encoded(known):
    return [{False: 0, None: 1, True: 2}[truth] for truth in known]


def resumed(history, cut):
    """A history as rows give it back: in two parts, through JSON."""
    first = history.chunk(0)
    parts = [{**first, "checks": first["checks"][:cut]}, history.chunk(cut)]
    return MetricHistory.from_chunks(json.loads(json.dumps(parts, allow_nan=False)))


@pytest.mark.parametrize("condition", EACH, ids=lambda condition: condition.name)
@FEWER
@given(checks=CHECKS.filter(bool), data=st.data())
def test_each_condition_gives_one_answer_however_it_is_asked(condition, checks, data):
    _same_answers(condition, checks, data)


@MANY
@given(condition=CONDITIONS, checks=CHECKS.filter(bool), data=st.data())
def test_so_do_conditions_in_any_nesting(condition, checks, data):
    _same_answers(condition, checks, data)


def _same_answers(condition, checks, data):
    known = _asked_while_it_grows(condition, checks)
    grown = histories_of(checks)
    newest = grown[-1]
    assert encoded(known) == truths(condition, newest.recording()).tolist()
    assert [truth(condition, state) for state in states(newest.recording())] == known
    number = data.draw(st.integers(0, len(checks) - 1), label="an older state")
    assert truth(condition, state_of(grown[number])) == known[number]
    cut = data.draw(st.integers(0, len(checks)), label="where it was interrupted")
    again = resumed(newest, cut)
    assert again == newest
    assert truth(condition, state_of(again)) == known[-1]
    assert truth(condition, state_of(pickle.loads(pickle.dumps(newest)))) == known[-1]


def _asked_while_it_grows(condition, checks):
    history, epoch, answers = MetricHistory(), 0, []
    for number, (metrics, ends_epoch, left_out) in enumerate(checks):
        step, seconds = 10 * (number + 1), 1.5 * (number + 1)
        history = history.append(epoch, metrics, ends_epoch=ends_epoch, step=step, seconds=seconds)
        answers.append(truth(condition, state_of(history)))
        epoch += 1 + left_out if ends_epoch else 0
    return answers


@MANY
@given(one=CONDITIONS, other=CONDITIONS, checks=CHECKS.filter(bool))
def test_the_laws_of_logic_hold_for_what_is_not_known_too(one, other, checks):
    state = state_of(histories_of(checks)[-1])
    assert truth(~(~one), state) == truth(one, state)
    assert truth(~(one & other), state) == truth(~one | ~other, state)
    assert truth(~(one | other), state) == truth(~one & ~other, state)
    explained = explain(one | other, state)
    assert bool(explained.reason) == explained.holds
    assert explained.holds == (one | other).run(state)[Condition.KEY]


@MANY
@given(condition=CONDITIONS)
def test_a_condition_can_be_read_back_from_its_name(condition):
    if "epoch >= 2" not in condition.name:
        assert parse_condition(condition.name).name == condition.name


@FEWER
@given(checks=CHECKS.filter(bool), stop=st.integers(1, 25))
def test_after_a_resume_from_a_real_persister_every_condition_answers_the_same(
    tmp_path_factory, checks, stop
):
    path = tmp_path_factory.mktemp("rows") / "rows.sqlite"
    persister = SQLitePersister(str(path))
    persister.initialize()
    rows = StateRows(persister, "p", "r")
    state, epoch = State(initial_state({}, None, None)), 0
    for number, (metrics, ends_epoch, left_out) in enumerate(checks):
        when = {"global_step": 10 * (number + 1), "seconds": 1.5 * (number + 1)}
        report = PhaseReport(epoch, 0, 9, metrics=metrics, ends_epoch=ends_epoch, **when)
        state = recorded(state, report)
        rows.save(number, "validate", state)
        epoch += 1 + left_out if ends_epoch else 0
        if number + 1 == stop:
            rows = StateRows(persister, "p", "r")
            row = rows.newest()
            rows.go_on_from(row)
            state = row.state
    again = StateRows(persister, "p", "r").newest().state
    persister.cleanup()
    for condition in EACH:
        assert truth(condition, again) == truth(condition, state)
    assert again["history"] == state["history"]
