"""Stop conditions against tables that were worked out by hand, as a run asks them and as a replay does."""

import math

import pytest
from burr.core import Condition, State

from burr_lightning import MetricHistory, explain
from burr_lightning.conditions import overfitting, plateau, slope_below, spike
from burr_lightning.conditions.replayed import first_stop, truths

T, F, N = True, False, None
NAN, INF = math.nan, math.inf

BOTH_MODES = pytest.mark.parametrize(("mode", "sign"), [("min", 1), ("max", -1)])
"""Every table is of losses; with the sign turned round it is one of scores."""


def history_of(losses, sign=1, **options):
    history = MetricHistory()
    for epoch, loss in enumerate(losses):
        history = history.append(epoch, {} if loss is None else {"loss": sign * loss}, **options)
    return history


def truth_of(condition, history):
    """The truth of a condition by every way to ask for it."""
    state = State({"history": history})
    truth = explain(condition, state).truth
    assert condition.truth(state) is truth
    assert condition.run(state) == {Condition.KEY: truth is True}
    assert truths(condition, history.recording())[-1] == {F: 0, N: 1, T: 2}[truth]
    return truth


def answers(condition, *checks):
    """The truth after each check, one an epoch, while the history grows."""
    history, known = MetricHistory(), []
    for epoch, metrics in enumerate(checks):
        history = history.append(epoch, metrics)
        known.append(truth_of(condition, history))
    stop = first_stop(condition, history.recording())
    assert stop == (known.index(True) if True in known else None)
    return known


def answers_on(condition, losses, sign=1):
    return answers(condition, *({} if loss is None else {"loss": sign * loss} for loss in losses))


ODD = [4, 1, 5, 2, 3]
"""The median is 3, the distances to it are 1, 2, 2, 1, 0, their median is 1."""
EVEN = [4, 1, 8, 2]
"""The median is (2 + 4) / 2 = 3, the distances to it are 1, 2, 5, 1, their median is (1 + 2) / 2 = 1.5."""
SAME = [1, 1, 2, 1]
"""The median is 1, the distances to it are 0, 0, 1, 0, their median is 0."""


@BOTH_MODES
@pytest.mark.parametrize(
    ("before", "newest", "is_spike"),
    [
        (ODD, 8.0, F),  # 0.6745 * 5 / 1 = 3.3725
        (ODD, 8.2, T),  # 0.6745 * 5.2 / 1 = 3.5074
        (ODD, -50.0, F),  # as far, for the better
        (EVEN, 10.7, F),  # 0.6745 * 7.7 / 1.5 = 3.4624
        (EVEN, 10.8, T),  # 0.6745 * 7.8 / 1.5 = 3.5074
        (EVEN, INF, T),
        (ODD, -INF, F),
    ],
)
def test_a_spike_is_3_5_robust_deviations_worse_than_the_median(before, newest, is_spike, mode, sign):
    condition = spike("loss", window=len(before), mode=mode)
    assert answers_on(condition, [*before, newest], sign) == [N] * len(before) + [is_spike]


@BOTH_MODES
@pytest.mark.parametrize(("threshold", "is_spike"), [(2.0, T), (2.02, T), (2.03, F), (3.0, F)])
def test_the_threshold_of_a_spike_counts_robust_standard_deviations(threshold, is_spike, mode, sign):
    # 0.6745 * (6 - 3) / 1 = 2.0235, and 0.6745 * (7.5 - 3) / 1.5 = 2.0235
    for losses in ([*ODD, 6.0], [*EVEN, 7.5]):
        condition = spike("loss", threshold, window=len(losses) - 1, mode=mode)
        assert truth_of(condition, history_of(losses, sign)) is is_spike


@BOTH_MODES
@pytest.mark.parametrize(("newest", "is_spike"), [(1.0, F), (0.0, F), (1.001, T), (9.0, T), (INF, T)])
def test_any_jump_from_a_metric_that_stood_still_is_a_spike(newest, is_spike, mode, sign):
    for still in (SAME, [1, 1, 1, 1]):
        condition = spike("loss", 1000.0, window=4, mode=mode)
        assert truth_of(condition, history_of([*still, newest], sign)) is is_spike


@BOTH_MODES
@pytest.mark.parametrize(
    ("losses", "min_delta", "is_spike"),
    [
        ([*SAME, 1.5], 0.5, F),  # a jump of 0.5, not more
        ([*SAME, 1.75], 0.5, T),
        ([*SAME, 1.75], 0.75, F),
        ([*ODD, 9.0], 5.5, T),  # a jump of 6, a score of 4.047
        ([*ODD, 9.0], 6.0, F),
        ([*EVEN, 15.0], 11.5, T),  # a jump of 12, a score of 5.396
        ([*EVEN, 15.0], 12.0, F),
    ],
)
def test_a_jump_that_is_not_larger_than_min_delta_is_no_spike(losses, min_delta, is_spike, mode, sign):
    condition = spike("loss", window=len(losses) - 1, min_delta=min_delta, mode=mode)
    assert truth_of(condition, history_of(losses, sign)) is is_spike


@BOTH_MODES
def test_a_spike_is_not_decided_by_nan_nor_while_the_window_holds_one_or_an_infinity(mode, sign):
    condition = spike("loss", window=3, mode=mode)
    # 9 against 1, 2, 3: 0.6745 * 7 / 1 = 4.7; against 2, 3, 9: 0.6745 * (4 - 3) / 1 = 0.67
    assert answers_on(condition, [1, 2, 3, 9, 4, NAN, 5], sign) == [N, N, N, T, F, N, N]
    assert answers_on(condition, [NAN, 1, 2, 3, 9], sign) == [N, N, N, N, T]
    # 8 against 2, 3, 9: 0.6745 * (8 - 3) / 1 = 3.3725
    assert answers_on(condition, [1, INF, 2, 3, 9, 8], sign) == [N, N, N, N, N, F]
    assert answers_on(condition, [1, None, 2, 3, None, 9], sign) == [N, N, N, N, N, T]


def test_an_explained_spike_says_the_median_and_the_score():
    # 0.6745 * (8 - 3) / 1 = 3.3725, and 0.6745 * (12 - 3) / 1.5 = 4.047
    for losses, score in (([*ODD, 8], "3.37"), ([*EVEN, 12], "4.05")):
        window = len(losses) - 1
        text = explain(spike("loss", window=window), State({"history": history_of(losses)})).text
        assert f"a median of 3 in the {window} checks before, a score of {score}" in text


@BOTH_MODES
@pytest.mark.parametrize(
    ("losses", "window", "improvement"),
    [
        ([3, 2.5], 2, 0.5),  # (-0.5 * 3 + 0.5 * 2.5) / 0.5 = -0.5
        ([3, 9, 2], 3, 0.5),  # (-1 * 3 + 0 * 9 + 1 * 2) / 2 = -0.5
        ([2, 9, 3], 3, -0.5),
        ([4, 2, 3, 1], 4, 0.8),  # (-1.5 * 4 - 0.5 * 2 + 0.5 * 3 + 1.5 * 1) / 5 = -0.8
        ([1, 2, 4, 8], 4, -2.3),  # (-1.5 * 1 - 0.5 * 2 + 0.5 * 4 + 1.5 * 8) / 5 = 2.3
        ([5, 4, 9, 2, 1], 5, 1.0),  # (-2 * 5 - 1 * 4 + 0 * 9 + 1 * 2 + 2 * 1) / 10 = -1
        ([7, 7, 7, 7], 4, 0.0),
    ],
)
def test_the_slope_is_that_of_the_newest_least_squares_line(losses, window, improvement, mode, sign):
    for all_losses in (losses, [100, *losses], [0, -100, *losses]):
        history = history_of(all_losses, sign)
        assert truth_of(slope_below("loss", improvement + 0.01, window, mode), history) is T
        assert truth_of(slope_below("loss", improvement - 0.01, window, mode), history) is F


@BOTH_MODES
def test_an_improvement_of_just_the_slope_asked_for_is_enough(mode, sign):
    # (2 - 3) / 2 = -0.5: an improvement of 0.5
    assert truth_of(slope_below("loss", 0.5, 3, mode), history_of([3, 9, 2], sign)) is F
    assert truth_of(slope_below("loss", 0.0, 3, mode), history_of([3, 9, 3], sign)) is F


@BOTH_MODES
def test_a_slope_is_not_decided_by_a_window_that_is_not_full_or_not_finite(mode, sign):
    condition = slope_below("loss", 0.5, window=3, mode=mode)
    # By (x_3 - x_1) / 2 it improves by 1 over 3, 2, 1, by 0.25 over 2, 1, 1.5, by -0.5 over 1, 1.5, 2.
    assert answers_on(condition, [3, 2, 1, 1.5, 2], sign) == [N, N, F, T, T]
    assert answers_on(condition, [3, NAN, 1, 1, 1, 1], sign) == [N, N, N, N, T, T]
    assert answers_on(condition, [3, 2, 1, INF, 1, 1, 1], sign) == [N, N, F, N, N, N, T]
    assert answers_on(condition, [3, None, 2, 1, None], sign) == [N, N, N, F, F]


VAL = [0.9, 0.7, 0.8, 0.9]
"""The best is at check 1; check 3 is the second without improvement."""


@BOTH_MODES
@pytest.mark.parametrize(
    ("train", "val", "overfits"),
    [
        ([0.9, 0.5, 0.45, 0.4], VAL, [F, F, F, T]),
        ([0.9, 0.5, 0.6, 0.7], VAL, [F, F, F, F]),  # 0.7 is better than at the start, not than at the best
        ([0.9, 0.5, 0.4, 0.5], VAL, [F, F, F, F]),  # no better than at the best: a tie
        ([0.1, 0.5, 0.45, 0.4], VAL, [F, F, F, T]),  # better than at the best, not than at the start
        ([0.9, 0.5, 0.4, 0.3], [0.9, 0.7, 0.7, 0.7], [F, F, F, T]),  # a tie is no improvement
        ([0.9, 0.5, 0.4, 0.3], [0.9, 0.7, NAN, NAN], [F, F, F, T]),  # NaN is none either
        ([0.9, 0.5, 0.4, 0.3], [0.9, 0.7, 0.8, 0.6], [F, F, F, F]),
        ([0.9, 0.5, 0.4, 0.3, 0.2], [0.9, 0.7, None, 0.8, 0.9], [F, F, F, F, T]),
        ([0.9, 0.5, 0.4, NAN], VAL, [F, F, F, T]),  # the newest that counts is 0.4, below 0.5
        ([0.9, 0.5, 0.6, NAN], VAL, [F, F, F, F]),
        ([0.9, NAN, 0.95, 0.8], VAL, [F, F, F, T]),  # at the best there was 0.9
        ([0.9, NAN, 0.8, 0.95], VAL, [F, F, F, F]),
        ([None, None, 0.9, 0.8], VAL, [N, N, F, T]),  # none by the best: compared with the next, 0.9
        ([None, None, 0.8, 0.9], VAL, [N, N, F, F]),
        ([None, None, 0.9, 0.9], VAL, [N, N, F, F]),
        ([None, None], [0.9, 0.8], [N, N]),
    ],
)
def test_overfitting_is_a_training_that_improved_since_the_best_validation(train, val, overfits, mode, sign):
    condition = overfitting("train_loss", "loss", patience=2, mode=mode)
    pairs = [{"train_loss": one, "loss": other} for one, other in zip(train, val, strict=True)]
    checks = [{name: sign * value for name, value in pair.items() if value is not None} for pair in pairs]
    assert answers(condition, *checks) == overfits


@BOTH_MODES
@pytest.mark.parametrize(
    ("losses", "min_delta", "stops"),
    [
        ([NAN, NAN, NAN], 0.0, [F, T, T]),  # 1, 2, 3 without a best one
        ([NAN, 0.5, NAN, 0.5, 0.25], 0.0, [F, F, F, T, F]),  # 1, 0, 1, 2, 0
        ([0.5, 0.5, 0.5], 0.0, [F, F, T]),
        ([1.0, 0.75, 0.5, 0.5], 0.25, [F, F, F, F]),  # 0, 1, 0 (by 0.5, more than 0.25), 1
        ([1.0, 0.875, 0.75, 0.75], 0.25, [F, F, T, T]),  # 0, 1, 2 (by 0.25, not more), 3
    ],
)
@pytest.mark.parametrize("count", ["checks", "epochs"])
def test_epochs_with_a_check_each_are_counted_as_checks(losses, min_delta, stops, count, mode, sign):
    assert answers_on(plateau("loss", 2, min_delta, mode, count=count), losses, sign) == stops


@BOTH_MODES
def test_until_there_is_a_best_one_epochs_count_from_the_one_before_the_first_check(mode, sign):
    losses = [None, None, NAN, None, None, NAN, 0.5, None, NAN]
    # 1 at epoch 2, 4 at epoch 5, both counted from epoch 1; 0 at the best one, epoch 6; 2 at epoch 8.
    for patience, stops in ((4, [N, N, F, F, F, T, F, F, F]), (2, [N, N, F, F, F, T, F, F, T])):
        condition = plateau("loss", patience, mode=mode, count="epochs")
        assert answers_on(condition, losses, sign) == stops


def test_a_history_since_a_check_ends_where_the_history_does():
    older = history_of([0.1, 0.9, 0.5, 0.6])
    newer = older.append(4, {"loss": 0.7})
    rest_of_newer, rest = newer.since(1), older.since(1)
    assert rest == MetricHistory().append(1, {"loss": 0.9}).append(2, {"loss": 0.5}).append(3, {"loss": 0.6})
    assert rest_of_newer == rest.append(4, {"loss": 0.7})
    # Without the 0.1 of epoch 0 the best is 0.5: one check after it in the older, two in the newer.
    assert [truth_of(plateau("loss", 2), each) for each in (rest, rest_of_newer)] == [F, T]
    assert (older.since(4), len(older.since(4))) == (MetricHistory(), 0)


def test_a_history_since_a_check_knows_the_directions():
    scores = history_of([0.1, 0.9, 0.8, 0.7], directions={"loss": "max"})
    assert scores.since(1).directions == {"loss": "max"}
    assert [truth_of(plateau("loss", 2), each) for each in (scores, scores.since(1))] == [T, T]


def test_a_direction_that_is_declared_anew_is_the_one_that_counts():
    assert truth_of(plateau("loss", 2), history_of([0.9, 0.8, 0.7], directions={"loss": "min"})) is F
    changed = history_of([0.9, 0.8], directions={"loss": "min"})
    changed = changed.append(2, {"loss": 0.7}, directions={"loss": "max"})
    assert changed.directions == {"loss": "max"}
    assert truth_of(plateau("loss", 2), changed) is T
    assert truth_of(slope_below("loss", 0.0, 3), changed) is T  # (0.7 - 0.9) / 2 for the worse
