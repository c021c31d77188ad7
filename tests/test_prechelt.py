"""GL, PQ and UP against values worked out by hand, and against the stops that EarlyStopping.jl states."""

import math

import pytest
from burr.core import State

from burr_lightning import MetricHistory, explain
from burr_lightning.conditions import (
    consecutive_increases,
    generalization_loss,
    plateau,
    progress_quotient,
)
from burr_lightning.conditions.prechelt import GeneralizationLoss, ProgressQuotient
from burr_lightning.conditions.replayed import first_stop
from burr_lightning.recording import Recording

LOSSES = [10, 8, 9, 10, 11, 12, 12, 13, 14, 15, 16, 17, 16]
"""The losses that EarlyStopping.jl tests its criteria on; its stops are counted from 1, and 0 is never."""


def stop_number(condition, losses=LOSSES):
    check = first_stop(condition, Recording.of_epochs({"val": losses}))
    return 0 if check is None else check + 1


@pytest.mark.parametrize(("alpha", "stop"), [(12, 3), (20, 4), (40, 6), (90, 11), (110, 12), (1000, 0)])
def test_gl_stops_where_early_stopping_jl_does(alpha, stop):
    assert stop_number(generalization_loss("val", alpha)) == stop


@pytest.mark.parametrize(("times", "stop"), [(1, 3), (2, 4), (3, 5), (4, 6), (5, 12), (6, 0)])
def test_up_with_strips_of_one_is_the_patience_of_early_stopping_jl(times, stop):
    # Its Patience counts rises from update to update; Prechelt's strips have 5 epochs.
    assert stop_number(consecutive_increases("val", times, strip=1)) == stop


@pytest.mark.parametrize(("patience", "stop"), [(1, 3), (2, 4), (3, 5), (4, 6), (5, 7), (6, 8)])
def test_plateau_is_the_number_since_best_of_early_stopping_jl(patience, stop):
    assert stop_number(plateau("val", patience)) == stop


UPDATES = [
    ([9.5, 9.3], 10),
    ([9.3, 9.1, 8.9], 8),
    ([8.3, 8.4], 9),
    ([9.9, 9.5], 10),
    ([10.6, 10.4], 11),
    ([8888, 11.8, 11.7], 12),
    ([11.6, 11.4], 12),
    ([12.2, 12.1], 13),
    ([14.5, 14.1], 14),
    ([13.9, 13.7], 15),
    ([12.5, 12.3], 16),
    ([11.2, 11.0], 17),
    ([10.5, 10.3], 16),
]


def history_of_updates():
    history, ends = MetricHistory(), []
    for epoch, (training, validation) in enumerate(UPDATES):
        for loss in training:
            history = history.append(epoch, {"train": loss}, ends_epoch=False)
        history = history.append(epoch, {"val": validation})
        ends.append(history.checks - 1)
    return history, ends


@pytest.mark.parametrize(("alpha", "stop"), [(2.0, 3), (3.8, 5), (11.6, 6), (15.1, 8), (15.3, 0)])
def test_pq_stops_where_early_stopping_jl_does(alpha, stop):
    history, ends = history_of_updates()
    check = first_stop(progress_quotient("train", "val", alpha, strip=2), history.recording())
    assert (0 if check is None else ends.index(check) + 1) == stop


def test_gl_by_hand():
    # 100 * (E / E_opt - 1) with E_opt = 0.8, 0.5, 0.5, 0.5, 0.4
    losses = [0.8, 0.5, 0.55, 0.75, 0.4]
    found = list(GeneralizationLoss("val").values(enumerate(losses)))
    assert found == pytest.approx([0.0, 0.0, 10.0, 50.0, 0.0])


def test_pq_by_hand_on_strips_of_two():
    train = [1.0, 0.8, 0.8, 0.5, 0.5, 0.5]
    val = [1.0, 0.9, 0.99, 1.08, 0.9, 1.8]
    # Strip 1: GL = 0. Strip 2: GL = 100 * (1.08 / 0.9 - 1) = 20, P = 1000 * (0.65 / 0.5 - 1) = 300.
    # Strip 3: GL = 100, P = 0: no progress makes any loss too much.
    found = list(ProgressQuotient("train", "val", 2).values(zip(range(6), train, val, strict=True)))
    assert math.isnan(found[0])
    assert found[1:] == pytest.approx([0.0, 0.0, 20 / 300, 20 / 300, math.inf])


def test_up_by_hand_on_strips_of_five():
    # Ends of strips: 0.5, 0.6, 0.7, 0.65, 0.7; it stands between two ends as it was at the first.
    ends = [0.5, 0.6, 0.7, 0.65, 0.7]
    losses = [loss for end in ends for loss in [9.0, 0.1, 9.0, 0.1, end]]
    condition = consecutive_increases("val", times=2, strip=5)
    history, truths = MetricHistory(), []
    for epoch, loss in enumerate(losses):
        history = history.append(epoch, {"val": loss})
        truths.append(condition.truth(State({"history": history})))
    assert truths == [False] * 14 + [True] * 5 + [False] * 6


@pytest.mark.parametrize(
    ("losses", "truth"),
    [
        ([0.5, -0.1, 0.4], None),  # a loss below 0 has no percentage
        ([0.5, 0.0, 0.4], True),  # any loss is too much above 0
        ([0.5, 0.0, 0.0], False),
        ([0.5, 0.4, math.nan], None),
        ([0.5, 0.4, math.inf], True),
        ([math.inf, math.inf], None),
    ],
)
def test_gl_where_a_percentage_means_nothing(losses, truth):
    history = MetricHistory()
    for epoch, loss in enumerate(losses):
        history = history.append(epoch, {"val": loss})
    assert explain(generalization_loss("val", 5), State({"history": history})).truth is truth


@pytest.mark.parametrize("condition", [generalization_loss("val"), progress_quotient("train", "val")])
@pytest.mark.parametrize("known_by", ["the metric", "the run"])
def test_scores_are_refused(condition, known_by):
    declared = {"val": "max"} if known_by == "the metric" else {}
    monitor = {"metric": "val", "mode": "max"} if known_by == "the run" else None
    history = MetricHistory().append(0, {"val": 0.5, "train": 0.5}, directions=declared)
    with pytest.raises(ValueError, match="val is better when it is higher, and this criterion compares loss"):
        condition.truth(State({"history": history, "monitor": monitor}))


def test_the_numbers_are_said():
    history, _ = history_of_updates()
    state = State({"history": history})
    assert explain(generalization_loss("val", 12), state).reason == (
        "generalization_loss(val, alpha=12): 16 (epoch 12) is 100 % above the lowest, 8 (epoch 1)"
    )
    quotient = explain(progress_quotient("train", "val", 2, strip=2), state).reason
    # GL = 100, P = 1000 * (10.4 / 10.3 - 1)
    assert quotient == (
        "progress_quotient(train, val, alpha=2, strip=2): "
        "the generalization loss is 10.3 times the progress of the training"
    )
    assert (
        explain(consecutive_increases("val", 1, 1, "min"), state).text
        == "worse at 0 ends of a strip in a row"
    )
