"""What is drawn of a metric that was logged and was not finite: never a line as if nothing had been there."""

import math

import pytest
from drawn import colors, cut_off, overlapping
from matplotlib.patches import Rectangle
from plotted import history, steps
from rich.console import Console

from burr_lightning import BurrCallback, MetricHistory
from burr_lightning.cli.curves import curves
from burr_lightning.plots import RunCurves, plot_run, plot_runs
from burr_lightning.plots.groups import curve_of, gaps_in_words
from burr_lightning.plots.style import PALETTE
from burr_lightning.testing import ScriptedModule, scripted_loader

NAN, INF = math.nan, math.inf
LOST = object()
"""Stands for an epoch in which the metric was not logged."""


def logged(**series):
    """A history in which each metric was logged so, epoch by epoch."""
    found = MetricHistory()
    for epoch, values in enumerate(zip(*series.values(), strict=True)):
        metrics = {name: value for name, value in zip(series, values, strict=True) if value is not LOST}
        found = found.append(epoch, metrics)
    return found


def line_of(axis, name):
    [line] = [line for line in axis.get_lines() if line.get_label() == name]
    return list(line.get_xdata()), [None if math.isnan(y) else float(y) for y in line.get_ydata()]


def marks_of(axis):
    """The marks at the edges: their shape, their epochs, and which half of the axis each is in."""
    marks = [line for line in axis.get_lines() if line.get_label() == "_gaps"]
    for line in marks:
        assert line.get_markerfacecolor() == "white"
        assert line.get_transform() == axis.get_xaxis_transform(), "they stand at the edge, not at a value"
    return [(line.get_marker(), dict(map(_side, *line.get_data()))) for line in marks]


def _side(epoch, height):
    return int(epoch), "high" if height > 0.5 else "low"


def legend_of(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


class TestFigure:
    def test_the_line_has_a_gap_and_a_mark_says_what_was_logged(self):
        found = logged(val_loss=[0.9, 0.5, NAN, NAN, 0.4, INF, 0.3, -INF])
        [axis] = plot_run("a", found, [], "val_loss", None).axes
        assert line_of(axis, "val_loss") == (list(range(8)), [0.9, 0.5, None, None, 0.4, None, 0.3, None])
        assert marks_of(axis) == [("o", {2: "low", 3: "low", 5: "high", 7: "low"})]
        assert legend_of(axis) == ["val_loss", "-inf, NaN below, inf above"]

    def test_what_was_not_logged_is_no_gap(self):
        found = logged(val_loss=[0.9, 0.8, 0.7, 0.6], test_loss=[0.5, LOST, LOST, 0.4])
        [axis] = plot_run("a", found, [], None, None).axes
        assert line_of(axis, "test_loss") == ([0, 3], [0.5, 0.4])
        assert marks_of(axis) == []
        assert legend_of(axis) == ["val_loss", "test_loss"]
        assert not [patch for patch in axis.patches if isinstance(patch, Rectangle)]

    def test_metrics_that_fail_in_the_same_epoch_are_told_apart_by_shape_and_height(self):
        found = logged(train_loss=[1.0, NAN, 0.5], val_loss=[0.9, NAN, 0.6])
        [axis] = plot_run("a", found, [], None, None).axes
        (one, other) = (line for line in axis.get_lines() if line.get_label() == "_gaps")
        assert one.get_marker() != other.get_marker()
        assert one.get_color() != other.get_color()
        assert abs(one.get_ydata()[0] - other.get_ydata()[0]) > 0.05
        assert marks_of(axis) == [("o", {1: "low"}), ("s", {1: "low"})]

    @pytest.mark.parametrize("values", [[1.0, NAN, 0.5], [1e-6, NAN, 1.0, INF], [3.0, NAN, 3.0, INF]])
    def test_no_value_is_drawn_where_the_marks_are(self, values):
        figure = plot_run("a", logged(val_loss=values, train_loss=values), [], "val_loss", None)
        figure.draw_without_rendering()
        [axis] = figure.axes
        strips = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
        assert len(strips) == 1 + (INF in values)
        marked = [y for line in axis.get_lines() if line.get_label() == "_gaps" for y in line.get_ydata()]
        where = axis.transData + axis.transAxes.inverted()
        drawn = [where.transform((0, v))[1] for v in values if math.isfinite(v)]
        for strip in strips:
            low, high = strip.get_y(), strip.get_y() + strip.get_height()
            assert not [y for y in drawn if low <= y <= high]
            assert [y for y in marked if low < y < high]

    def test_where_no_value_was_finite_the_marks_are_all_there_is(self):
        [axis] = plot_run("a", logged(val_loss=[NAN, NAN]), [], "val_loss", None).axes
        assert marks_of(axis) == [("o", {0: "low", 1: "low"})]
        assert legend_of(axis) == ["val_loss", "NaN below"]

    def test_a_value_between_two_gaps_is_seen_in_a_long_run_too(self):
        values = [NAN if at in (500, 502) else 1.0 for at in range(1000)]
        [axis] = plot_run("a", logged(val_loss=values), [], None, None).axes
        [line] = [line for line in axis.get_lines() if line.get_label() == "val_loss"]
        assert 501 in line.get_markevery()
        assert len(line.get_markevery()) < 60

    def test_it_can_be_read(self):
        names = [f"val_of_the_data_set_{number}_loss" for number in range(9)]
        found = logged(**{name: [0.9, NAN, 0.5, INF] * 5 for name in names})
        for figure in (
            plot_run("crowded", found, steps(20), names[0], None),
            plot_runs([RunCurves(f"run {n}", found, names[0], {names[0]: "min"}) for n in range(5)]),
        ):
            assert overlapping(figure) == []
            assert cut_off(figure) == []
            assert colors(figure) <= {color.lower() for color in PALETTE} | {"#ffffff"}

    def test_several_runs(self):
        good, bad = history(4, "loss"), logged(loss=[0.5, NAN, 0.25, INF])
        runs = [RunCurves("good", good, "loss"), RunCurves("bad", bad, "loss", {"loss": "min"})]
        [axis] = plot_runs(runs).axes
        assert line_of(axis, "bad") == ([0, 1, 2, 3], [0.5, None, 0.25, None])
        assert marks_of(axis) == [("s", {1: "low", 3: "high"})]
        assert legend_of(axis) == ["NaN below, inf above"]
        [best] = [line for line in axis.get_lines() if line.get_label() == "_best"]
        assert list(best.get_xdata()) == [2]
        [axis] = plot_runs(runs[:1]).axes
        assert axis.get_legend() is None

    def test_a_fork_shows_none_of_its_parents_gaps(self):
        found = logged(loss=[NAN, 0.5, NAN, 0.25])
        [axis] = plot_runs([RunCurves("fork", found, "loss", begins=1)]).axes
        assert marks_of(axis) == [("o", {2: "low"})]


class TestCurve:
    def test_a_check_inside_an_epoch_that_was_nan_is_no_gap_where_the_epoch_ended_well(self):
        found = MetricHistory().append(0, {"loss": NAN}, ends_epoch=False).append(0, {"loss": 0.5})
        found = found.append(1, {"loss": 0.5}, ends_epoch=False).append(1, {"other": 1.0})
        assert curve_of(found, "loss").not_finite == {}
        assert curve_of(found, "loss").epochs[0] == 0

    def test_an_epoch_that_is_not_over_is_not_drawn(self):
        found = MetricHistory().append(0, {"loss": 0.5}).append(1, {"loss": NAN}, ends_epoch=False)
        assert curve_of(found, "loss").not_finite == {}

    def test_one_epoch_is_named_and_more_are_counted(self):
        assert gaps_in_words({}) == ""
        assert gaps_in_words({4: INF, 5: NAN, 6: NAN}) == "inf in epoch 4, NaN in 2 epochs"


class TestTerminal:
    def drawn(self, found, width=80, height=12):
        return curves(found, "val_loss", Console(width=width, force_terminal=False), height)

    def test_a_line_below_says_where_the_gaps_are(self):
        values = [1.0, 0.8, 0.6, NAN, NAN, 0.5, 0.4, INF, 0.3]
        *picture, below = self.drawn(logged(val_loss=values))
        assert below == "not finite: val_loss NaN in 2 epochs, inf in epoch 7"
        assert len(picture) == 11
        assert [line for line in self.drawn(logged(val_loss=values), 40) if len(line) > 40] == []

    def test_the_curve_has_a_gap_there_and_none_where_nothing_was_logged(self):
        def gaps(values):
            rows = [line.partition("┤")[2] or line.partition("│")[2] for line in self.drawn(logged(**values))]
            rows = [row.replace("⢕⢕ val_loss", "").replace("⢕⢕ other", "") for row in rows]
            used = {at for row in rows for at, sign in enumerate(row) if "⠀" < sign <= "⣿"}
            return [at for at in range(min(used), max(used)) if at not in used]

        assert len(gaps({"val_loss": [1.0, 0.9, NAN, 0.7, 0.6]})) > 20
        other = [LOST if epoch == 2 else 1.0 for epoch in range(5)]
        assert gaps({"val_loss": [1.0, 0.9, LOST, 0.7, 0.6], "lone": other}) == []

    def test_where_no_value_was_finite_that_is_said(self):
        assert self.drawn(logged(val_loss=[NAN, NAN])) == ["not finite: val_loss NaN in 2 epochs"]
        assert not self.drawn(logged(val_loss=[1.0, 0.5]))[-1].startswith("not finite")


def test_a_notebook_says_so_under_its_curve(make_trainer):
    module = ScriptedModule(val_loss=[0.9, 0.5, NAN, 0.4])
    burr = BurrCallback("a", monitor="val_loss")
    make_trainer(burr, max_epochs=4).fit(module, scripted_loader(), scripted_loader())
    assert "0.4 in epoch 3; NaN in epoch 2<" in burr.run._repr_html_()
