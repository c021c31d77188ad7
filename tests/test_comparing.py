"""compare_stopping: every number worked out by hand."""

import math

import pytest
from burr.core import Condition
from rich.console import Console

from burr_lightning import BurrCallback, MetricHistory, compare_stopping
from burr_lightning.conditions import max_epochs, plateau, reached
from burr_lightning.errors import ArgumentError, UnknownMetricError
from burr_lightning.recording import Recording
from burr_lightning.stopping import FixedEpochs
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
    assert [one.condition for one in found.pareto_front()] == ["one", "hasty", "late"]


def test_seconds_are_saved_where_they_were_recorded():
    import numpy as np

    timed = recording(A, seconds=np.array([1.0, 2.5, 4.0, 5.5, 7.0, 9.0]))
    [stop] = compare_stopping(timed, HASTY, "val_loss").stops
    assert stop.seconds_saved == 3.5


@pytest.mark.parametrize(
    ("values", "mode", "best", "regret"),
    [
        ([math.nan, 0.5, 0.6, 0.7, 0.1], "min", 0.5, 0.4),
        ([0.5, 0.6, 0.4, 0.3, 0.9], "max", 0.6, 0.3),
        ([math.nan] * 5, "min", None, None),
        ([math.inf, math.inf, math.inf, 0.5], "min", None, None),
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
    assert compare_stopping(declared, plateau("acc", 2), "acc").monitor.mode == "max"


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
    with pytest.raises(UnknownMetricError, match="val_los"):
        compare_stopping(recording(A), plateau("val_los"), "val_loss")
    with pytest.raises(ArgumentError, match="give a history"):
        compare_stopping([], HASTY, "val_loss")


def test_tables_and_frames():
    found = both()
    console = Console(width=120)
    with console.capture() as captured:
        console.print(found)
    shown = captured.get()
    for text in ("hasty", "1/2", "[0.5, 1.5]", "i-Epoch (5 epochs)", "train to the end"):
        assert text in shown
    frame = found.to_pandas()
    assert frame.loc[frame.condition == "hasty", "epochs_saved"].tolist() == [2, 0]
    assert found.to_dicts()[0]["regret"] == pytest.approx(0.1)
    assert "hasty: 4 epochs, regret 0.05 on average" in str(found)


def test_the_figure_marks_each_stop_where_it_is(tmp_path):
    figure = both().plot(tmp_path / "stops.png")
    markers = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert list(markers["hasty"].get_xdata()) == [3]
    assert list(markers["hasty"].get_ydata()) == [0.7]
    assert markers["patient"].get_markerfacecolor() == "none"
    assert (tmp_path / "stops.png").stat().st_size > 1000


def test_the_tradeoff_has_every_condition_the_front_and_i_epoch(tmp_path):
    found = both()
    lines = {line.get_label(): line for line in found.plot_tradeoff().axes[0].get_lines()}
    assert lines["hasty"].get_xydata().tolist() == [[4.0, pytest.approx(0.05)]]
    assert list(lines["i-Epoch, any number"].get_xdata()) == found.fixed.costs.tolist()
    assert list(lines["Pareto front of the conditions"].get_xdata()) == [4.0, 5.0]


def test_fixed_epochs_count_a_history_without_a_regret_nowhere():
    import numpy as np

    fixed = FixedEpochs.of([np.array([0.2, 0.0]), np.array([math.nan])])
    assert fixed.regrets.tolist() == [0.2, 0.0]
