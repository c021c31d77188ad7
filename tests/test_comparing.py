"""compare_stopping: every number worked out by hand."""

import math

import numpy as np
import pytest
from burr.core import Condition

from burr_lightning import BurrCallback, MetricHistory, compare_stopping
from burr_lightning.conditions import max_epochs, not_finite, plateau, reached, replayed
from burr_lightning.errors import ArgumentError, UnknownMetricError
from burr_lightning.recording import Recording
from burr_lightning.stopping import FixedEpochs, Quartiles
from burr_lightning.testing import ScriptedModule, scripted_loader

A = [0.9, 0.5, 0.6, 0.7, 0.4, 0.5]
B = [0.8, 0.7, 0.6, 0.5]
HASTY, PATIENT = plateau("val_loss", 2), plateau("val_loss", 4)


def recording(values, name="", metric="val_loss", **facts):
    return Recording.of_epochs({metric: values}, name, **facts)


def both(**options):
    conditions = {"hasty": HASTY, "patient": PATIENT}
    return compare_stopping({"a": recording(A), "b": recording(B)}, conditions, "val_loss", **options)


def facts(stop):
    return (stop.history, stop.condition, stop.epoch, stop.epochs, stop.best, stop.best_epoch)


def test_each_stop_by_hand():
    found = both()
    assert [facts(stop) for stop in found.stops] == [
        ("a", "hasty", 3, 4, 0.5, 1),
        ("a", "patient", None, 6, 0.4, 4),
        ("b", "hasty", None, 4, 0.5, 3),
        ("b", "patient", None, 4, 0.5, 3),
    ]
    assert [stop.regret for stop in found.stops] == pytest.approx([0.1, 0, 0, 0])
    assert [stop.epochs_saved for stop in found.stops] == [2, 0, 0, 0]
    assert [stop.seconds_saved for stop in found.stops] == [None] * 4
    assert found.stops[0].reason == (
        "plateau(val_loss, patience=2): no improvement on 0.5 (epoch 1) for 2 checks"
    )
    assert found.stops[1].reason is None


def test_summaries_and_baselines_by_hand():
    hasty, patient, to_the_end, fixed = both().summaries
    assert (hasty.stopped, hasty.histories, hasty.mean_epochs) == (1, 2, 4.0)
    assert hasty.mean_regret == pytest.approx(0.05)
    quartiles = hasty.epochs_saved
    assert (quartiles.lower, quartiles.median, quartiles.upper) == (0.5, 1.0, 1.5)
    # Regrets after 1, 2, ... epochs: a 0.5, 0.1, 0.1, 0.1, 0, 0; b 0.3, 0.2, 0.1, 0, capped there.
    assert both().fixed.regrets == pytest.approx([0.4, 0.15, 0.1, 0.05, 0, 0])
    assert both().fixed.costs == pytest.approx([1, 2, 3, 4, 4.5, 5])
    assert hasty.same_cost_regret == pytest.approx(0.05)
    assert (patient.mean_epochs, patient.mean_regret) == (5.0, 0.0)
    assert (to_the_end.condition, to_the_end.mean_epochs, to_the_end.mean_regret) == (
        "train to the end",
        5.0,
        0.0,
    )
    # The best condition, "patient", regrets nothing; so few epochs do neither.
    assert (fixed.condition, fixed.mean_epochs, fixed.mean_regret) == ("i-Epoch (5 epochs)", 4.5, 0.0)


def test_the_pareto_front_leaves_out_what_another_beats_in_both():
    conditions = {"one": max_epochs(1), "hasty": HASTY, "late": max_epochs(6), "patient": PATIENT}
    found = compare_stopping([recording(A), recording(B)], conditions, "val_loss")
    assert [one.condition for one in found.pareto_front()] == ["one", "hasty", "late", "patient"]
    assert facts_of_front(found)[2:] == [("late", 5.0, 0.0), ("patient", 5.0, 0.0)]


def facts_of_front(found):
    return [(one.condition, one.mean_epochs, one.mean_regret) for one in found.pareto_front()]


def test_of_two_that_cost_the_same_the_front_has_the_better_one():
    histories = {"c": recording([0.9, 0.5, 0.1]), "d": recording([0.5, 0.4, 0.39])}
    worse = Condition.expr("metrics['val_loss'] > 0.8")
    better = Condition.expr("epoch == 0 and metrics['val_loss'] < 0.8")
    found = compare_stopping(histories, {"worse": worse, "better": better}, "val_loss")
    assert [one.mean_epochs for one in found.summaries[:2]] == [2.0, 2.0]
    assert facts_of_front(found) == [("better", 2.0, pytest.approx(0.055))]


def test_what_has_no_finite_regret_is_on_no_front():
    late = [{"val_loss": value} for value in (math.nan, math.nan, 0.5)]
    found = compare_stopping(late, {"one": max_epochs(1), "all": max_epochs(3)}, "val_loss")
    assert [one.condition for one in found.pareto_front()] == ["all"]
    nothing = compare_stopping(recording([math.nan] * 3), max_epochs(1), "val_loss")
    assert (nothing.pareto_front(), nothing.summaries[0].mean_regret) == ([], None)


def test_quartiles_by_hand():
    seconds = np.arange(1.0, 7.0)
    histories = [
        recording(A, seconds=seconds),
        recording(B, seconds=seconds[:4] * 2),
        recording(A[:3], seconds=seconds[:3]),
    ]
    summary = compare_stopping(histories, {"two": max_epochs(2)}, "val_loss").summaries[0]
    # Regrets 0.1, 0.2, 0; seconds saved 4, 4, 1; of 6, 4 and 3 epochs 4, 2 and 1 are saved.
    regret, saved = summary.regret, summary.seconds_saved
    assert (regret.lower, regret.median, regret.upper) == pytest.approx((0.05, 0.1, 0.15))
    assert (saved.lower, saved.median, saved.upper) == (2.5, 4.0, 4.0)
    assert (summary.epochs_saved.lower, summary.epochs_saved.upper) == (1.5, 3.0)
    end = compare_stopping(histories, {"two": max_epochs(2)}, "val_loss").summaries[1]
    assert (end.epochs.lower, end.epochs.median, end.epochs.upper) == (3.5, 4.0, 5.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, math.inf], (math.inf, math.inf, math.inf)),
        ([0.0, 1.0, 2.0, 3.0, math.inf], (1.0, 2.0, 3.0)),
        ([math.inf, math.inf], (math.inf, math.inf, math.inf)),
        ([4.0, None, 1.0], (1.75, 2.5, 3.25)),
        ([None], (None, None, None)),
    ],
)
def test_quartiles_of_infinities_and_of_nothing(values, expected):
    found = Quartiles.of(values)
    assert (found.lower, found.median, found.upper) == expected


NUMBERED_FROM_1 = [{"epoch": epoch, "loss": loss} for epoch, loss in ((1, 0.9), (2, 0.5), (3, 0.6))]
WITH_GAPS = [{"epoch": epoch, "loss": loss} for epoch, loss in ((9, 0.9), (19, 0.5), (29, 0.4))]
RESUMED = [{"epoch": 5 + n, "loss": loss} for n, loss in enumerate([0.9, 0.7, 0.5, 0.6, 0.6, 0.7])]


@pytest.mark.parametrize(
    ("rows", "condition", "trained", "regret", "regrets"),
    [
        (NUMBERED_FROM_1, max_epochs(1), 2, 0.4, [math.inf, 0.4, 0, 0]),
        (NUMBERED_FROM_1, max_epochs(3), 3, 0, [math.inf, 0.4, 0, 0]),
        (WITH_GAPS, plateau("loss", 3), 30, 0, [*[math.inf] * 9, *[0.5] * 10, *[0.1] * 10, 0]),
        (WITH_GAPS, max_epochs(20), 20, 0.1, [*[math.inf] * 9, *[0.5] * 10, *[0.1] * 10, 0]),
        (RESUMED, plateau("loss", 2), 10, 0, [*[math.inf] * 5, 0.4, 0.2, 0, 0, 0, 0]),
    ],
)
def test_epochs_are_counted_alike_in_stops_and_in_i_epoch(rows, condition, trained, regret, regrets):
    found = compare_stopping(rows, {"it": condition}, "loss")
    [stop] = found.stops
    assert (stop.epochs, stop.regret) == (trained, pytest.approx(regret))
    assert found.fixed.regrets == pytest.approx(regrets)
    assert found.fixed.costs.tolist() == list(range(1, len(regrets) + 1))
    fixed = found.summaries[-1]
    fewest = next(number for number, one in enumerate(regrets, 1) if one <= regret)
    assert fixed.condition == f"i-Epoch ({fewest} epochs)"
    assert (fixed.mean_epochs, fixed.mean_regret) == (fewest, pytest.approx(regret))
    assert found.summaries[0].same_cost_regret == pytest.approx(regrets[trained - 1])


def test_i_epoch_ends_between_two_checks_and_says_no_seconds_there():
    rows = [{**row, "seconds": 10.0 * number} for number, row in enumerate(WITH_GAPS)]
    short = [{"epoch": 0, "loss": 0.5, "seconds": 0.0}, {"epoch": 14, "loss": 0.3, "seconds": 7.0}]
    found = compare_stopping([rows, short], {"it": max_epochs(15)}, "loss")
    fixed = found.summaries[-1]
    assert (fixed.condition, fixed.mean_epochs, fixed.stopped) == ("i-Epoch (20 epochs)", 17.5, 1)
    between = compare_stopping([rows, short], {"it": max_epochs(10)}, "loss").summaries[-1]
    assert (between.condition, between.mean_epochs, between.stopped) == ("i-Epoch (15 epochs)", 15.0, 2)
    # Of the first history nobody recorded the seconds after 15 epochs; the second ends there.
    assert between.seconds_saved.upper == 0.0


def test_a_log_that_validates_every_third_epoch_counts_the_epochs_between(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step,val_loss\n2,11,0.5\n")
    [stop] = compare_stopping(tmp_path, {"never": reached("val_loss", 0)}, "val_loss").stops
    assert (stop.epochs, stop.epochs_saved) == (3, 0)


VALIDATED_TWICE = [
    {"epoch": epoch, "step": step, "loss": loss}
    for epoch, step, loss in ((0, 2, 0.9), (0, 4, 0.5), (1, 6, 0.7), (1, 8, 0.4), (2, 10, 0.6), (2, 12, 0.3))
]


def test_a_stop_inside_an_epoch_costs_that_epoch():
    found = compare_stopping(VALIDATED_TWICE, {"one": plateau("loss", 1)}, "loss")
    [stop] = found.stops
    assert facts(stop) == ("history 0", "one", 1, 2, 0.5, 0)
    assert (stop.check, stop.epochs_saved, stop.regret) == (2, 1, pytest.approx(0.2))
    assert found.fixed.regrets == pytest.approx([0.2, 0.1, 0])
    assert found.summaries[-2].mean_epochs == 3.0


EARLY = [{"v": value} for value in (math.nan, math.nan, 0.5, 0.1, 0.1)]
FALLING = [{"v": value} for value in (0.9, 0.8, 0.7, 0.6, 0.5)]


def test_a_stop_before_the_first_finite_value_regrets_everything():
    conditions = {"nf": not_finite("v"), "p4": plateau("v", 4), "me4": max_epochs(4)}
    found = compare_stopping({"a": EARLY, "b": FALLING}, conditions, "v")
    nf, p4, me4 = found.summaries[:3]
    assert (nf.mean_regret, nf.regret.upper) == (math.inf, math.inf)
    assert found.stops[0].regret == math.inf
    assert (p4.mean_regret, me4.mean_regret) == (0.0, pytest.approx(0.05))
    assert found.fixed.regrets == pytest.approx([math.inf, math.inf, 0.3, 0.05, 0])
    assert found.without_regret == []


def test_a_history_without_a_finite_best_value_counts_in_no_regret():
    conditions = {"me1": max_epochs(1), "me4": max_epochs(4)}
    nothing = [{"v": math.inf}, {"v": math.nan}]
    unbounded = [{"v": 0.5}, {"v": -math.inf}]
    found = compare_stopping({"b": FALLING, "n": nothing, "u": unbounded}, conditions, "v")
    assert [one.mean_regret for one in found.summaries[:2]] == pytest.approx([0.4, 0.1])
    assert [stop.regret for stop in found.stops[2:]] == [None] * 4
    assert found.fixed.regrets == pytest.approx([0.4, 0.3, 0.2, 0.1, 0])
    assert found.without_regret == ["n", "u"]


def test_reasons_are_those_of_the_stops_from_one_walk_through_each_history(monkeypatch):
    conditions = {"hasty": HASTY, "never": reached("val_loss", 0), "two": max_epochs(2)}
    found = compare_stopping([recording(A), recording(B)], conditions, "val_loss")
    walks, states = [], replayed.states
    monkeypatch.setattr(replayed, "states", lambda history: walks.append(history) or states(history))
    reasons = found.reasons()
    assert len(walks) == 2
    assert reasons == [stop.reason for stop in found.stops]
    assert [reason is None for reason in reasons] == [False, True, False, True, True, False]
    assert reasons[-1] == "max_epochs(2): 2 epochs are over"


def test_seconds_are_saved_where_they_were_recorded():
    timed = recording(A, seconds=np.array([1.0, 2.5, 4.0, 5.5, 7.0, 9.0]))
    [stop] = compare_stopping(timed, HASTY, "val_loss").stops
    assert stop.seconds_saved == 3.5
    partly = recording(A, seconds=np.array([1.0, 2.5, 4.0, math.nan, 7.0, 9.0]))
    assert compare_stopping(partly, HASTY, "val_loss").stops[0].seconds_saved is None


@pytest.mark.parametrize(
    ("values", "mode", "best", "regret"),
    [
        ([math.nan, 0.5, 0.6, 0.7, 0.1], "min", 0.5, 0.4),
        ([0.5, 0.6, 0.4, 0.3, 0.9], "max", 0.6, 0.3),
        ([math.nan] * 5, "min", None, None),
        ([math.inf, math.inf, math.inf, 0.5], "min", None, math.inf),
        ([0.5, 0.6, 0.7, -math.inf], "min", 0.5, None),
    ],
)
def test_what_is_not_a_number_is_no_best_value(values, mode, best, regret):
    [stop] = compare_stopping(recording(values), plateau("val_loss", 2), "val_loss", mode).stops
    assert stop.best == best
    assert stop.regret == (pytest.approx(regret) if regret is not None else None)


def test_the_mode_of_the_comparison_is_that_of_conditions_that_have_none():
    rising = recording([0.1, 0.2, 0.3, 0.2, 0.1], metric="acc")
    [stop] = compare_stopping(rising, plateau("acc", 2), "acc", "max").stops
    assert (stop.epoch, stop.best) == (4, 0.3)
    assumed = compare_stopping(rising, plateau("acc", 2), "acc")
    assert (assumed.stops[0].epoch, assumed.mode_assumed) == (2, True)
    declared = recording([0.1, 0.2, 0.3], metric="acc", directions={"acc": "max"})
    found = compare_stopping(declared, plateau("acc", 2), "acc")
    assert (found.monitor.mode, found.mode_from, found.mode_assumed) == ("max", "declared", False)
    found = compare_stopping([rising, declared], plateau("acc", 2), "acc")
    assert (found.monitor.mode, found.mode_from) == ("max", "declared")
    found = compare_stopping(declared, plateau("acc", 2), "acc", "min")
    assert (found.monitor.mode, found.mode_from, found.stops[0].epoch) == ("min", "given", 2)


def test_the_best_epoch_is_the_first_that_has_the_best_value():
    highest = recording([0.1, 0.6, 0.6, 0.4, 0.2])
    [stop] = compare_stopping(highest, max_epochs(4), "val_loss", "max").stops
    assert (stop.best, stop.best_epoch) == (0.6, 1)


def test_histories_that_say_different_directions_are_not_mixed():
    up, down = (recording([0.1, 0.2], mode, directions={"val_loss": mode}) for mode in ("max", "min"))
    with pytest.raises(ArgumentError, match=r"'max' in max; 'min' in min\. Say it .* with mode="):
        compare_stopping([up, down], HASTY, "val_loss")
    found = compare_stopping([up, down], HASTY, "val_loss", "max")
    assert [one.directions["val_loss"] for one in found.histories] == ["max", "max"]


def test_a_metric_that_is_validated_every_other_epoch():
    history = MetricHistory()
    for epoch, loss in enumerate([None, 0.5, None, 0.6, None, 0.7, None, 0.4]):
        history = history.append(epoch, {"train": 1.0} if loss is None else {"train": 1.0, "val_loss": loss})
    [stop] = compare_stopping(history, HASTY, "val_loss").stops
    assert (stop.epoch, stop.epochs, stop.best, stop.epochs_saved) == (5, 6, 0.5, 2)


def test_burrs_own_conditions_are_replayed_state_by_state():
    condition = Condition.expr("epoch >= 2 and metrics['val_loss'] > 0.55")
    assert compare_stopping(recording(A), condition, "val_loss").stops[0].epoch == 2


def test_a_replay_stops_where_the_real_run_did(make_trainer):
    condition = plateau("val_loss", 2) | reached("val_loss", 0.45)
    obeyed = BurrCallback("obeyed", stop_when=condition)
    make_trainer(obeyed, max_epochs=6).fit(ScriptedModule(val_loss=A), scripted_loader(), scripted_loader())
    whole = BurrCallback("whole")
    make_trainer(whole, max_epochs=6).fit(ScriptedModule(val_loss=A), scripted_loader(), scripted_loader())
    [stop] = compare_stopping("whole", condition, "val_loss").stops
    assert (stop.epoch, stop.reason) == (obeyed.state["epoch"], obeyed.state["stop_reason"])
    assert stop.seconds_saved > 0


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({}, "there is none"),
        ([HASTY, plateau("val_loss", 2)], "two conditions have the same name"),
        ({"a": "plateau"}, "'plateau' is no Burr condition"),
        ("plateau", "'plateau' is no Burr condition"),
        ({"train to the end": HASTY}, "is the name of a baseline"),
    ],
)
def test_conditions_that_cannot_be_compared(conditions, message):
    with pytest.raises(ArgumentError, match=message):
        compare_stopping(recording(A), conditions, "val_loss")


def test_unknown_metrics_and_no_history_are_errors():
    said = r"^compare_stopping\(history 0\): the condition 'hasty', plateau\(val_los, .*\), needs the metric"
    with pytest.raises(UnknownMetricError, match=said):
        compare_stopping(recording(A), {"hasty": plateau("val_los")}, "val_loss")
    with pytest.raises(UnknownMetricError, match=r"the condition 'not_finite\(val_los\)' needs the metric"):
        compare_stopping(recording(A), not_finite("val_los"), "val_loss")
    with pytest.raises(UnknownMetricError, match=r"^compare_stopping\(history 0, monitor='acc'\) needs"):
        compare_stopping(recording(A), HASTY, "acc")
    with pytest.raises(ArgumentError, match=r"^compare_stopping\(\[\], ...\): give a history"):
        compare_stopping([], HASTY, "val_loss")


def test_fixed_epochs_count_a_history_without_a_regret_nowhere():
    fixed = FixedEpochs.of([np.array([0.2, 0.0]), np.array([math.nan])])
    assert fixed.regrets.tolist() == [0.2, 0.0]
