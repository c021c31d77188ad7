import math
from datetime import timedelta

import numpy as np
import pytest
import torch
from burr.core import Condition, State
from lightning.pytorch.callbacks import EarlyStopping

from burr_lightning.conditions import (
    StopCondition,
    diverged,
    explain,
    generalization_loss,
    max_time,
    metrics_of,
    not_finite,
    parse_condition,
    plateau,
    reached,
    slope_below,
    spike,
)
from burr_lightning.conditions.replayed import first_stop, states
from burr_lightning.conditions.strips import ProgressQuotient
from burr_lightning.errors import ExpressionError
from burr_lightning.history import MetricHistory
from burr_lightning.recording import Recording


def state_of(directions=None, **columns):
    history = MetricHistory()
    for epoch, values in enumerate(zip(*columns.values(), strict=True)):
        history = history.append(epoch, dict(zip(columns, values, strict=True)), directions=directions)
    return State({"history": history, "epoch": len(history) - 1})


def is_true(condition, state):
    return condition.run(state)[Condition.KEY]


def stop_epoch(condition, losses):
    for epoch in range(len(losses)):
        if is_true(condition, state_of(val_loss=losses[: epoch + 1])):
            return epoch
    return None


def early_stopping_epoch(losses, **options):
    callback = EarlyStopping("val_loss", check_finite=False, **options)
    for epoch, loss in enumerate(losses):
        stop, _ = callback._evaluate_stopping_criteria(torch.tensor(loss, dtype=torch.float64))
        if stop:
            return epoch
    return None


RISING = [10.0, 8.0, 9.0, 10.0, 11.0, 12.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 16.0]


@pytest.mark.parametrize(("patience", "epoch"), [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (20, None)])
def test_plateau_stops_after_so_many_checks_without_improvement(patience, epoch):
    assert stop_epoch(plateau("val_loss", patience), RISING) == epoch


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("min_delta", [0.0, 0.5])
@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize(
    "losses",
    [
        RISING,
        [1.0, 0.9, 0.5, 0.4, 0.45, 0.44, 0.43],
        [-3.0, -2.0, -4.0, -4.2, -4.1],
        [math.nan, 1.0, 2.0, 0.1],
    ],
)
def test_plateau_stops_where_lightnings_early_stopping_does(losses, patience, min_delta, mode):
    options = {"patience": patience, "min_delta": min_delta, "mode": mode}
    ours = stop_epoch(plateau("val_loss", **options), losses)
    assert ours == early_stopping_epoch(losses, **options)


def test_plateau_takes_the_direction_that_the_metric_declares():
    falling = state_of(val_acc=[0.9, 0.8, 0.7])
    declared = state_of({"val_acc": "max"}, val_acc=[0.9, 0.8, 0.7])
    assert not is_true(plateau("val_acc", 2), falling)
    assert is_true(plateau("val_acc", 2), declared)
    assert not is_true(plateau("val_acc", 2, mode="min"), declared)


@pytest.mark.parametrize(
    ("value", "mode", "directions", "expected"),
    [
        (0.98, "max", {}, True),
        (0.97, "max", {}, False),
        (0.97, "min", {}, True),
        (0.99, None, {"m": "max"}, True),
        (0.97, None, {"m": "max"}, False),
        (0.97, None, {}, True),
        (math.nan, "max", {}, False),
        (math.nan, "min", {}, False),
    ],
)
def test_reached_reads_the_newest_value(value, mode, directions, expected):
    assert is_true(reached("m", 0.98, mode), state_of(directions, m=[0.0, value])) is expected


def test_a_metric_that_was_not_logged_decides_nothing():
    state = state_of(other=[1.0, 2.0])
    for unknown in (plateau("val_loss", 1), reached("val_loss", 0.1)):
        true, false = plateau("other", 1), plateau("other", 2)
        for condition in (unknown, ~unknown, unknown | false, unknown & true, ~(unknown & true)):
            assert not is_true(condition, state)
        assert is_true(unknown | true, state)
        assert is_true(~(unknown & false), state)
        assert explain(unknown, state).text == "val_loss was not logged yet"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: plateau("m", patience=-1), r"plateau\(m, patience=-1\): patience counts checks"),
        (lambda: plateau("m", min_delta=-0.1), "min_delta must be 0 or more"),
        (lambda: plateau("m", min_delta=math.nan), "min_delta must be 0 or more"),
        (lambda: plateau("m", mode="lower"), "mode must be 'min' or 'max', not 'lower'"),
        (lambda: reached("m", math.nan), "a number, and not NaN"),
        (lambda: reached("m", 1.0, mode="up"), r"reached\(m, 1, mode='up'\): mode must be"),
    ],
)
def test_a_wrong_argument_is_refused_with_the_call_as_it_was_written(build, message):
    with pytest.raises(ValueError, match=message):
        build()


STATE = state_of(a=[1.0, 2.0, 3.0], b=[0.5, 0.4, 0.99])
TRUE, FALSE = plateau("a", 2), plateau("b", 2)
PLAIN = Condition.expr("epoch >= 2")


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (TRUE | FALSE, True),
        (TRUE & FALSE, False),
        (~TRUE, False),
        (~FALSE & TRUE, True),
        (~(TRUE & FALSE), True),
        ((FALSE | TRUE) & ~(FALSE | ~TRUE), True),
        (PLAIN & TRUE, True),
        (TRUE & PLAIN, True),
        (PLAIN | FALSE, True),
        (~PLAIN & TRUE, False),
    ],
)
def test_conditions_combine_in_any_nesting_also_with_burrs_own(condition, expected):
    assert is_true(condition, STATE) is expected
    assert explain(condition, STATE).holds is expected
    assert isinstance(condition, StopCondition)


@pytest.mark.parametrize("returned", [True, "above", (True,), (True, 0.98)])
def test_a_check_that_returns_no_truth_with_its_numbers_is_told_what_to_return(returned):
    condition = StopCondition("mine", ["epoch"], lambda state: returned)
    for ask in (condition.truth, condition.explain):
        with pytest.raises(
            TypeError, match=r"StopCondition\('mine', check=.*returned .*must return two things"
        ):
            ask(State({"epoch": 0}))


def test_a_combined_condition_knows_its_metrics_and_reads_each_key_once():
    condition = (TRUE | PLAIN) & ~FALSE
    assert metrics_of(condition) == {"a", "b"}
    assert condition.reads == ["history", "epoch"]
    assert condition.name == "(plateau(a, patience=2) | (epoch >= 2)) & ~plateau(b, patience=2)"


def test_only_conditions_combine():
    with pytest.raises(TypeError, match="Only a Burr condition can be combined with &, not 3"):
        TRUE & 3


@pytest.mark.parametrize("combine", [lambda: TRUE and FALSE, lambda: FALSE or TRUE, lambda: not TRUE])
def test_pythons_own_words_do_not_drop_a_part_of_a_combination(combine):
    with pytest.raises(TypeError, match="Combine conditions with & for and"):
        combine()


def test_the_reason_names_the_parts_that_are_true_with_their_numbers():
    state = state_of(val_loss=[0.5, 0.0812, 0.09, 0.1], val_acc=[0.1, 0.2, 0.3, 0.4])
    condition = plateau("val_loss", patience=2) | reached("val_acc", 0.98, mode="max")
    assert explain(condition, state).reason == (
        "plateau(val_loss, patience=2): no improvement on 0.0812 (epoch 1) for 2 checks"
    )
    both = plateau("val_loss", patience=2) & ~reached("val_acc", 0.98, mode="max")
    assert explain(both, state).reason.endswith(
        "for 2 checks; ~reached(val_acc, 0.98, mode='max'): 0.4 < 0.98 (epoch 3)"
    )
    assert explain(condition, state_of(val_loss=[0.5], val_acc=[0.1])).reason == ""


def test_a_direction_that_had_to_be_assumed_is_said():
    text = explain(reached("val_acc", 0.98), state_of(val_acc=[0.3])).text
    assert text == "0.3 <= 0.98 (epoch 0), read with mode='min': the metric declares no direction"


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "plateau", "plateau()", "a.b", "plateau['x']", "lambda: 1", "[plateau(x) for x in y]"),
        *("plateau('x') and plateau('y')", "plateau(f'{x}')", "plateau(*x)", "plateau(**x)", "plateau(x:=3)"),
        *("__import__('os').system('ls')", "max_epochs(10**9)", "plateau('x', pat=3)", "plateau(b'x')"),
        *("plateau(True)", "plateau('x', patience=-1)", "max_time('01:02')", "\0", "(" * 300 + ")" * 300),
        *(
            "~" * 60 + "max_epochs(3)",
            "~" * 1900 + "max_epochs(3)",
            "max_epochs(3) | " * 500 + "max_epochs(3)",
        ),
    ],
)
def test_a_text_that_stands_for_no_condition_is_refused_whatever_it_is(text):
    with pytest.raises(ExpressionError, match="stands for no stop condition") as error:
        parse_condition(text)
    assert "plateau" in error.value.available


def test_an_explanation_prints_as_a_tree_with_the_truth_of_every_part():
    state = state_of(val_loss=[0.5, 0.6])
    condition = plateau("val_loss", 1) & ~reached("val_acc", 0.9, mode="max")
    assert str(explain(condition, state)).splitlines() == [
        "plateau(val_loss, patience=1) & ~reached(val_acc, 0.9, mode='max'): not known yet",
        "  plateau(val_loss, patience=1): true (no improvement on 0.5 (epoch 0) for 1 check)",
        "  ~reached(val_acc, 0.9, mode='max'): not known yet (val_acc was not logged yet)",
        "    reached(val_acc, 0.9, mode='max'): not known yet (val_acc was not logged yet)",
    ]


def test_patience_can_count_epochs_where_validation_is_rarer():
    history = MetricHistory()
    for epoch, loss in enumerate([None, None, 0.5, None, None, 0.6, None, None, 0.7]):
        history = history.append(epoch, {} if loss is None else {"val_loss": loss})
    state = State({"history": history})
    assert is_true(plateau("val_loss", 6, count="epochs"), state)
    assert not is_true(plateau("val_loss", 7, count="epochs"), state)
    assert not is_true(plateau("val_loss", 3), state)
    assert explain(plateau("val_loss", 6, count="epochs"), state).text.endswith("(epoch 2) for 6 epochs")


@pytest.mark.parametrize(
    ("declared", "monitor", "stops"),
    [
        ({}, None, False),
        ({"acc": "max"}, None, True),
        ({}, {"metric": "acc", "mode": "max"}, True),
        ({}, {"metric": "other", "mode": "max"}, False),
        ({}, {"metric": "acc", "mode": None}, False),
        ({"acc": "max"}, {"metric": "acc", "mode": "min"}, True),
    ],
)
def test_the_direction_is_the_metrics_own_then_the_monitored_ones_then_min(declared, monitor, stops):
    state = state_of(declared, acc=[0.9, 0.8, 0.7]).update(monitor=monitor)
    assert is_true(plateau("acc", 2), state) is stops


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (reached("acc", 0.98, mode="max"), "0.97999 < 0.98 (epoch 2)"),
        (
            ~(plateau("acc", 3, mode="max") & reached("acc", 0.1, mode="max")),
            "plateau(acc, patience=3, mode='max') is false",
        ),
        (
            ~(Condition.expr("epoch >= 20") | plateau("acc", 3, mode="max")),
            "epoch >= 20 is false; plateau(acc",
        ),
    ],
)
def test_an_explanation_names_what_decided_and_tells_numbers_apart(condition, text):
    assert explain(condition, state_of(acc=[0.1, 0.2, 0.97999])).text.startswith(text)


def test_a_direction_that_had_to_be_assumed_is_told_unless_the_name_says_it():
    rising = state_of(acc=[0.1, 0.2, 0.3], val_loss=[0.1, 0.2, 0.3])
    assert "read with mode='min'" in explain(plateau("acc", 1), rising).reason
    assert "read with" not in explain(plateau("val_loss", 1), rising).reason


@pytest.mark.parametrize("value", [0.7, 0.1, 1e-3, 3.3])
def test_a_metric_that_stands_still_does_not_get_worse(value):
    for window in range(2, 40):
        state = state_of(loss=[value] * window)
        assert not is_true(slope_below("loss", 0, window=window), state)
        assert progress_of_equal_losses(value, max(window, 2)) == math.inf


def progress_of_equal_losses(value, strip):
    logged = [(epoch, value, 1.0 + epoch) for epoch in range(strip)]
    return list(ProgressQuotient("train", "val", strip).values(logged))[-1]


@pytest.mark.parametrize(
    "condition",
    [
        reached("val/loss", 0.9999999),
        reached("a, b", -math.inf, mode="max"),
        plateau("lambda", 3, 1.23456789e-7),
        max_time(timedelta(hours=1)),
        slope_below("None", 1e-9),
    ],
)
def test_a_condition_can_be_read_back_from_its_name_whatever_the_metric_is_called(condition):
    assert parse_condition(condition.name).name == condition.name


def test_conditions_that_differ_have_names_that_differ():
    assert reached("a", 0.9999999).name != reached("a", 1.00000001).name
    assert reached("a", 1).name == reached("a", 1.0).name == "reached(a, 1)"


def test_a_history_does_not_change_when_a_later_check_declares_a_direction():
    one = MetricHistory().append(0, {"a": 0.1}).append(1, {"a": 0.2})
    one.append(2, {"a": 0.3}, directions={"a": "max"})
    assert one.directions == {}
    assert one == MetricHistory().append(0, {"a": 0.1}).append(1, {"a": 0.2})


def test_numbers_of_numpy_are_numbers():
    assert plateau("a", np.int64(3), np.float32(0.5)).name == "plateau(a, patience=3, min_delta=0.5)"
    with pytest.raises(ValueError, match="not_finite"):
        not_finite(3)


@pytest.mark.parametrize(
    ("condition", "values", "truth"),
    [
        (reached("a", np.float32(0.5)), [0.5 + 1e-10], False),
        (diverged("a", np.float32(0.5)), [0.5 + 1e-10], True),
        (generalization_loss("a", np.float32(100)), [1.0, 2.0 + 1e-10], True),
        (slope_below("a", np.float32(0.5), window=2), [1.0, 0.5 + 1e-10], True),
        (plateau("a", 1, min_delta=np.float32(0.5)), [1.0, 0.5 - 1e-10], False),
        (spike("a", np.float32(0.6745), window=3), [1.0, 2.0, 3.0, 3.0 + 1e-10], True),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_limits_of_numpy_are_those_numbers_with_the_precision_of_the_metric(condition, values, truth):
    recording = Recording.of_epochs({"a": values})
    *_, state = states(recording)
    assert condition.truth(state) is truth
    assert first_stop(condition, recording) == (len(recording) - 1 if truth else None)
