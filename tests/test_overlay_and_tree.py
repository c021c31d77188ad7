"""Figures of several runs: on top of each other, and as a tree of forks."""

import pytest
from drawn import drawn_texts
from plotted import history

from burr_lightning import MetricHistory
from burr_lightning.errors import UnknownMetricError
from burr_lightning.plots import Branch, RunCurves, plot_runs, plot_tree
from burr_lightning.plots.branches import family, ordered


def test_each_metric_has_an_axis_and_each_run_a_look_on_all_of_them():
    one = RunCurves("one", history(5, "val_loss", "val_acc"), "val_loss", {"val_loss": "min"})
    two = RunCurves("two", history(3, "val_acc", "val_loss", "own"), "val_loss", {"val_loss": "min"})
    figure = plot_runs([one, two])
    assert [axis.get_ylabel() for axis in figure.axes] == ["val_loss", "val_acc"], (
        "what is monitored is first"
    )
    looks = [
        [line.get_color() for line in axis.get_lines() if line.get_label() != "_best"] for axis in figure.axes
    ]
    assert looks[0] == looks[1]
    assert len(set(looks[0])) == 2
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "one  best 0.2 (epoch 4)",
        "two  best 0.25 (epoch 2)",
    ]


def stars(axis):
    return [
        (int(x), float(y))
        for line in axis.get_lines()
        if line.get_label() == "_best"
        for x, y in line.get_xydata()
    ]


def test_the_best_epoch_is_by_the_direction_and_nothing_is_marked_without_one():
    found = history(4, "val_loss", "val_acc", "other")
    figure = plot_runs([RunCurves("a", found, None, {"val_loss": "min", "val_acc": "max"})])
    loss, acc, other = figure.axes
    assert (stars(loss), stars(acc), stars(other)) == ([(3, 0.25)], [(0, 0.5)], [])


def test_a_fork_is_drawn_from_where_it_left_and_its_parents_best_is_not_its_own():
    parent = RunCurves("parent", history(4, "loss"), "loss", {"loss": "max"})
    fork = RunCurves("fork", history(6, "loss"), "loss", {"loss": "max"}, begins=2)
    [axis] = plot_runs([parent, fork]).axes
    lines = {
        line.get_label(): list(line.get_xdata()) for line in axis.get_lines() if line.get_label() != "_best"
    }
    assert lines == {"parent": [0, 1, 2, 3], "fork": [2, 3, 4, 5]}
    assert stars(axis) == [(0, 1.0)]


def test_metrics_are_drawn_in_the_order_that_is_asked_for_and_an_unknown_one_is_refused():
    runs = [RunCurves("a", history(2, "x", "y")), RunCurves("b", history(2, "z"))]
    assert [axis.get_ylabel() for axis in plot_runs(runs, ["z", "x"]).axes] == ["z", "x"]
    with pytest.raises(UnknownMetricError, match=r"'nope'.*x, y, z"):
        plot_runs(runs, ["nope"])


def test_a_run_that_blows_up_leaves_the_others_to_be_seen():
    diverged = MetricHistory().append(0, {"loss": 1.0}).append(1, {"loss": 1e9})
    loss, other = plot_runs(
        [RunCurves("a", history(3, "loss", "other")), RunCurves("b", diverged)], ["loss", "other"]
    ).axes
    assert (loss.get_yscale(), other.get_yscale()) == ("log", "linear")


# The tree of forks


def segments(axis, label):
    return [line.get_xydata().tolist() for line in axis.get_lines() if line.get_label() == label]


def test_each_fork_leaves_its_parent_at_its_epoch_and_ends_by_its_status():
    root = Branch("root", None, -1, 10, "finished", "loss 0.2 (epoch 7)", 7)
    early = Branch("early", "root", 2, 6, "failed", "", 1)
    late = Branch("late", "root", 6, 12, "running", "", 9)
    axis = plot_tree([root, early, late]).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["root", "late", "early"]
    assert segments(axis, "_run") == [
        [[-0.5, 0], [9.5, 0]],
        [[6.5, 1], [11.5, 1]],
        [[2.5, 2], [5.5, 2]],
    ]
    assert segments(axis, "_fork") == [[[6.5, 0], [6.5, 1]], [[2.5, 0], [2.5, 2]]]
    assert segments(axis, "_best") == [[[7, 0]], [[9, 1]]], "what is best before the fork is the parent's"
    ends = [line for line in axis.get_lines() if line.get_label() == "_end"]
    assert len({line.get_color() for line in ends}) == len({line.get_marker() for line in ends}) == 3
    [legend] = axis.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["finished", "running", "failed", "best epoch"]


def test_a_fork_whose_parent_is_not_there_says_so_and_stands_for_itself():
    axis = plot_tree([Branch("a", "gone", 3, 6, "finished")]).axes[0]
    assert segments(axis, "_before") == [[[-0.5, 0], [3.5, 0]]]
    assert "from gone, which is not shown" in [text.text for text in drawn_texts(axis.figure)]


def test_no_line_of_a_tree_crosses_another():
    branches = [Branch("0", None, -1, 40, "")]
    for number in range(1, 30):
        parent = branches[(number * 7) % len(branches)]
        epoch = min(parent.epoch + 1 + (number * 5) % 7, parent.epochs - 1)
        branches.append(Branch(str(number), parent.run_id, epoch, epoch + 10, ""))
    rows = ordered(list(reversed(branches)))
    row_of = {branch.run_id: row for row, branch in enumerate(rows)}
    assert len(rows) == 30
    for branch in rows[1:]:
        above, below = row_of[branch.parent], row_of[branch.run_id]
        assert above < below
        assert all(other.begins >= branch.begins for other in rows[above + 1 : below])


def test_runs_that_are_each_others_parents_are_all_drawn_and_a_family_is_found():
    one, other = Branch("a", "b", 1, 3, ""), Branch("b", "a", 1, 3, "")
    assert {branch.run_id for branch in ordered([one, other])} == {"a", "b"}
    tree = [
        Branch("root", None, -1, 9, ""),
        Branch("child", "root", 3, 9, ""),
        Branch("sister", "root", 4, 9, ""),
        Branch("stranger", None, -1, 9, ""),
    ]
    assert [branch.run_id for branch in family(tree, ["child"])] == ["root", "child", "sister"]
    assert {branch.run_id for branch in family([one, other], ["a"])} >= {"a"}
