"""Combined conditions: what is asked, in which order, and what is said of the parts that decided."""

import sys
import threading

import numpy as np
import pytest
import torch
from burr.core import Condition, State

from burr_lightning import BurrCallback, MetricHistory, explain
from burr_lightning.conditions import (
    consecutive_increases,
    diverged,
    max_epochs,
    max_steps,
    max_time,
    overfitting,
    plateau,
    reached,
    spike,
)
from burr_lightning.conditions.replayed import first_stop, truths
from burr_lightning.errors import ArgumentError, ConditionError
from burr_lightning.machines import CAN_STOP, Stage, in_this_stage, staged_machine
from burr_lightning.recording import Recording
from burr_lightning.testing import ScriptedModule, scripted_loader

FAILS = Condition.expr("metrics['x'] > 1")


def state_of(*losses, **others):
    history = MetricHistory()
    for epoch, loss in enumerate(losses):
        history = history.append(epoch, {"loss": loss})
    keys = {"history": history, "epoch": len(losses) - 1, "metrics": {}, "can_stop": True, **others}
    return State(keys)


NOT_BETTER = state_of(0.5, 0.6)


@pytest.mark.parametrize(
    ("condition", "truth"),
    [
        (reached("loss", 0.1) & FAILS, False),
        (reached("loss", 0.9) | FAILS, True),
        (Condition.expr("'x' in metrics") & (FAILS & plateau("loss", 1)), False),
        (reached("missing", 0.1) & FAILS, None),
        (reached("missing", 0.1) & FAILS & reached("loss", 0.1), False),
        (~(reached("missing", 0.1) | FAILS), None),
    ],
)
def test_what_follows_the_part_that_decides_may_read_what_is_not_there(condition, truth):
    assert explain(condition, NOT_BETTER).truth is truth
    assert condition.run(NOT_BETTER)[Condition.KEY] is bool(truth)
    assert "could not be asked: KeyError: 'x'" in str(explain(condition, NOT_BETTER))


def test_a_part_that_decides_and_fails_is_an_error():
    for condition in (FAILS & reached("loss", 0.1), reached("loss", 0.9) & FAILS):
        with pytest.raises(KeyError, match="x"):
            condition.run(NOT_BETTER)


def test_a_run_is_not_ended_by_a_part_that_cannot_be_asked_yet(make_trainer):
    stop = Condition.expr("history['loss'][-3] < 0.6")
    burr = BurrCallback(stop_when=stop)
    trainer = make_trainer(burr, min_epochs=4, max_epochs=8)
    trainer.fit(ScriptedModule(loss=[0.5]), scripted_loader(), scripted_loader())
    assert burr.state["epoch"] == 3


def test_a_replay_asks_in_the_same_order():
    recording = Recording.of_epochs({"loss": [0.5, 0.6, 0.4], "late": [0.0, 0.0, 2.0]})
    condition = plateau("loss", 1) & Condition.expr("metrics['nowhere'] > 1")
    with pytest.raises(ConditionError, match=r"nowhere.*raised KeyError.*Metrics logged so far: late, loss"):
        first_stop(condition, recording)
    assert truths(reached("loss", 0.1) & condition, recording).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (~(plateau("loss", 1) | reached("loss", -5)), "plateau(loss, patience=1) is true: no improvement"),
        (~(plateau("loss", 9) & reached("loss", 9)), "plateau(loss, patience=9) is false: no improvement"),
        (~~reached("loss", 0.9), "~reached(loss, 0.9) is false: 0.6 <= 0.9 (epoch 1)"),
        (~(Condition.expr("epoch > 9") | reached("loss", 0.1)), "epoch > 9 is false; reached(loss, 0.1) is"),
    ],
)
def test_a_negation_names_the_parts_that_decided(condition, text):
    assert explain(condition, NOT_BETTER).text.startswith(text)


def test_a_condition_of_burrs_own_is_said_to_be_true_in_one_way():
    said = "epoch > 0 is true; reached(loss, 0.9): 0.6 <= 0.9 (epoch 1)"
    assert explain(Condition.expr("epoch > 0") & reached("loss", 0.9), NOT_BETTER).reason == said
    assert str(explain(Condition.expr("epoch > 0"), NOT_BETTER)) == "epoch > 0: true"
    assert (reached("loss", 1) & Condition.expr("epoch > 9")).name == "reached(loss, 1) & (epoch > 9)"


def test_in_a_stage_the_parts_that_held_are_named_and_no_others(make_trainer):
    stages = [Stage("a", max_epochs(1)), Stage("b", plateau("loss", 2) | reached("loss", -1.0))]
    burr = BurrCallback(machine=staged_machine(stages))
    trainer = make_trainer(burr, max_epochs=9)
    trainer.fit(ScriptedModule(loss=[0.1, 0.5, 0.6, 0.7]), scripted_loader(), scripted_loader())
    said = "plateau(loss, patience=2) in this stage: no improvement on 0.5 (epoch 1) for 2 checks"
    assert burr.state["stop_reason"] == said


def test_what_is_in_a_stage_is_in_brackets_where_it_is_combined():
    either = in_this_stage(plateau("loss", 2) | reached("loss", 0.1))
    assert either.name == "(plateau(loss, patience=2) | reached(loss, 0.1)) in this stage"
    assert in_this_stage(max_epochs(3)).name == "max_epochs(3) in this stage"
    with pytest.raises(ArgumentError, match=r"in this stage: a recorded history does not say where"):
        first_stop(either, Recording.of_epochs({"loss": [0.5, 0.6]}))


@pytest.mark.parametrize(
    ("condition", "value", "reason"),
    [
        (reached("loss", 0.9, mode="max"), np.float32(0.9), "0.9 >= 0.9"),
        (reached("loss", 0.1), np.float32(0.1), "0.1 <= 0.1"),
        (diverged("loss", 0.1), np.float32(0.10001), "0.10001 > 0.1"),
        (diverged("loss", 1e39), float("inf"), "inf > 1e+39"),
    ],
)
def test_a_limit_is_read_in_the_precision_of_the_value_and_shown_so(condition, value, reason):
    assert f": {reason} (epoch 0)" in explain(condition, state_of(float(value))).reason


def test_two_logged_values_are_compared_as_they_are():
    rose = consecutive_increases("loss", times=1, strip=1)
    assert rose.run(state_of(0.4999999999, 0.5))[Condition.KEY]


ASKED = [
    plateau("loss", 3),
    plateau("loss", 3, min_delta=0.01),
    plateau("loss", 3, count="epochs"),
    overfitting("loss", "loss", 3),
    spike("loss"),
    consecutive_increases("loss", strip=1),
    plateau("loss", 3) & ~reached("loss", 0.1) | max_time(1e9),
    in_this_stage(plateau("loss", 3) | max_epochs(10**6)),
]


@pytest.mark.parametrize("condition", ASKED, ids=lambda condition: condition.name)
def test_asking_after_one_more_epoch_does_as_much_at_any_epoch(condition):
    """In calls of functions, which unlike seconds are the same on every machine; the losses recur."""
    history, calls, counts = MetricHistory(), 0, {}

    def count(frame, event, argument):
        nonlocal calls
        calls += 1

    for epoch in range(2004):
        history = history.append(epoch, {"loss": 1.0 + epoch % 7}, step=epoch, seconds=float(epoch))
        stage = {"check": 3, "epoch": 3, "step": 3, "seconds": 3.0} if epoch > 3 else None
        keys = {"epoch": epoch, "global_step": epoch, "seconds": float(epoch), "stage": stage}
        state = State({"history": history, "can_stop": True, **keys})
        calls = 0
        sys.setprofile(count if epoch in (22, 2003) else None)
        (CAN_STOP & condition).run(state)
        sys.setprofile(None)
        counts[epoch] = calls
    assert 0 < counts[2003] <= counts[22]


def test_a_history_may_be_asked_from_several_threads_at_once():
    history = MetricHistory()
    for epoch in range(3000):
        history = history.append(epoch, {"loss": 1.0 / (epoch + 1)})
    state, answers = State({"history": history}), []

    def ask():
        try:
            answers.append(plateau("loss", 1, min_delta=1e-12).run(state)[Condition.KEY])
        except ValueError as error:
            answers.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert answers == [False] * 8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: reached("a", torch.tensor(0.5)),
            r"target must be a number, and not NaN, not .*: give its \.item",
        ),
        (lambda: diverged("a", float("nan")), "threshold must be a number, and not NaN, not nan"),
        (lambda: reached("a", 10**400), "target must be a number"),
        (lambda: max_epochs("3"), r"max_epochs\('3'\): n counts epochs and must be a whole number"),
    ],
)
def test_an_argument_that_is_no_number_is_named_with_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_times_of_numpy_are_times():
    assert max_time(np.float32(3)).name == max_time(np.int64(3)).name == "max_time(3)"
    assert max_steps(np.int64(3)).name == "max_steps(3)"
