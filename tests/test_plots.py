"""Figures of runs: what is in them, and that it can be read."""

from functools import partial
from itertools import pairwise

import pytest
from drawn import colors, cut_off, drawn_texts, overlapping
from matplotlib.text import Text
from plotted import BEGAN, LONG, history, steps

from burr_lightning import BurrCallback, Checkpoints, MetricHistory, Run
from burr_lightning.actions import Call, TrainEpoch, Validate
from burr_lightning.conditions import max_epochs, plateau
from burr_lightning.errors import UnknownMetricError
from burr_lightning.figures import curves_figure
from burr_lightning.machines import Stage, staged_machine
from burr_lightning.plots import Branch, Marks, RunCurves, plot_run, plot_runs, plot_timeline, plot_tree
from burr_lightning.plots.path import phase_of
from burr_lightning.plots.style import FAILED, PALETTE, line_look
from burr_lightning.steps import Step
from burr_lightning.testing import ScriptedModule, scripted_loader

NAMES = ("train_loss", "val_loss", "val_acc", f"val_of_the_other_data_{'x' * 60}_acc")
STATUSES = ["finished", "failed", "running", "paused", "interrupted"]


def crowded_curves():
    marks = Marks(
        commits=range(20, 30),
        origin=(LONG, 2),
        forks=[(f"{LONG}-{number}", number) for number in range(9)],
        shadow={f"a condition with a long name {number}": number * 3 for number in range(8)},
        stop=29,
    )
    best = {"epoch": 12, "value": 0.2}
    title = f"{LONG}: {'because ' * 30}"
    return plot_run(title, history(30, *NAMES), steps(30), "val_loss", best, marks)


def staged_curves(epochs, stages):
    return plot_run("stages", history(epochs, "val_loss"), steps(epochs, stages), None, None)


def overlay(runs):
    found = history(20, *NAMES)
    return plot_runs([RunCurves(f"{LONG}-{n}", found, "val_loss", {"val_loss": "min"}) for n in range(runs)])


def crowded_tree():
    forks = [
        Branch(
            f"{LONG}-{number}",
            f"{LONG}-{(number - 1) // 2}" if number else None,
            2 * number if number else -1,
            2 * number + 9,
            STATUSES[number % 5],
            f"val_loss 0.{number} (epoch 3)",
            2 * number + 3,
        )
        for number in range(25)
    ]
    return plot_tree([*forks, Branch("lost", f"{LONG}-gone", 3, 9, "unheard-of")], "All of them")


def many_on_an_axis():
    names = [f"val_of_the_data_set_{number}_loss" for number in range(9)]
    return plot_run("many", history(20, *names), steps(20), None, None)


FIGURES = {
    "curves": crowded_curves,
    "many curves on an axis": many_on_an_axis,
    "two stages": partial(staged_curves, 12, 2),
    "many stages": partial(staged_curves, 40, 20),
    "too many stages": partial(staged_curves, 200, 100),
    "curves of nothing": lambda: plot_run("nothing", MetricHistory(), [], None, None),
    "timeline": lambda: plot_timeline(LONG, steps(30, away=(3, 4, 5, 20, 28))),
    "timeline of many epochs": lambda: plot_timeline(LONG, steps(300)),
    "timeline of nothing": lambda: plot_timeline(LONG, []),
    "overlay": partial(overlay, 12),
    "overlay of one": partial(overlay, 1),
    "overlay of nothing": lambda: plot_runs([RunCurves("a", MetricHistory())]),
    "tree": crowded_tree,
    "tree of nothing": lambda: plot_tree([]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_lies_over_another_or_is_cut_off_and_all_colors_are_of_the_palette(name):
    figure = FIGURES[name]()
    assert overlapping(figure) == []
    assert cut_off(figure) == []
    assert colors(figure) <= {color.lower() for color in PALETTE} | {"#ffffff"}
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text() and text.get_visible()}
    assert min(sizes) >= 7.5, "what is printed as large as it is drawn can be read"


def test_35_lines_look_different_and_neighbours_differ_in_all_they_have():
    looks = [line_look(number) for number in range(35)]
    assert len({(look["color"], str(look["linestyle"])) for look in looks}) == 35
    for one, other in pairwise(looks[:7]):
        assert one["color"] != other["color"]
        assert one["marker"] != other["marker"]
        assert one["linestyle"] != other["linestyle"]


# Learning curves


def lanes(axis):
    """What is on each line of a band, by its label without the time."""
    labels = [label.get_text().split("  ")[0] for label in axis.get_yticklabels()]
    points = {}
    for line in axis.get_lines():
        row = round(float(line.get_ydata()[0]))
        points.setdefault(labels[row], []).extend(map(float, line.get_xdata()))
    return labels, points


@pytest.fixture
def staged(make_trainer):
    """A run in two stages, and a fork of it."""

    def train(run_id):
        machine = staged_machine(
            [
                Stage("head", max_epochs(2), {"note_head": Call(print)}),
                Stage("all", max_epochs(3), {"note_all": Call(print)}),
            ]
        )
        burr = BurrCallback(
            run_id,
            monitor="val_loss",
            machine=machine,
            shadow={"hasty": plateau("val_loss", 1), "never": max_epochs(99)},
            checkpoints=Checkpoints(keep_last=2),
        )
        losses = [0.9, 0.5, 0.6, 0.4, 0.3]
        module = ScriptedModule(val_loss=losses, train_loss=losses, val_acc=[0.1])
        make_trainer(burr, max_epochs=9).fit(module, scripted_loader(), scripted_loader())

    train("base")
    Run.open("base").fork(epoch=3, run_id="fork")
    train("fork")
    return Run.open("base")


def test_a_band_has_the_stages_the_actions_and_what_is_marked(staged):
    figure = curves_figure(staged)
    assert figure.get_suptitle() == f"base: {staged.stop_reason}"
    loss, acc, band = figure.axes
    labels, points = lanes(band)
    assert labels == [
        "stages",
        "process_data",
        "note_*",
        "train_*",
        "validate_*",
        "best_model",
        "commits on disk",
        "fork: fork, epoch 3",
        "shadow: hasty, epoch 2",
        "stopped, epoch 4",
    ]
    assert points["note_*"] == [-0.5, 1.5]
    assert points["commits on disk"] == [3.5, 4.5]
    assert points["fork: fork, epoch 3"] == [3.5]
    assert points["shadow: hasty, epoch 2"] == [2.5]
    assert points["stopped, epoch 4"] == [4.5]
    stages = {text.get_text(): text.get_position()[0] for text in band.texts}
    assert stages == {"head": pytest.approx(0.5), "all": pytest.approx(3.0)}
    for axis in (loss, acc):
        rules = [line for line in axis.get_lines() if line.get_label() == "_rule"]
        assert sorted(line.get_xdata()[0] for line in rules) == [2.5, 3.5, 4.5]


def test_a_fork_says_what_it_was_forked_from_and_its_own_steps_begin_there(staged):
    *_, band = curves_figure(Run.open("fork")).axes
    labels, points = lanes(band)
    assert points["forked from base, epoch 3"] == [3.5]
    [stage] = [label for label in labels if label.startswith("train")]
    assert stage == "train_all", "no other stage began in it"
    bars = [path.get_extents().x0 for row in band.collections for path in row.get_paths()]
    assert min(bars) == pytest.approx(3.5)


def test_what_a_fork_does_before_its_first_epoch_is_drawn_there():
    own = [Step(9, "note", BEGAN, BEGAN, False, None), Step(10, "train_epoch", BEGAN, BEGAN, False, 5)]
    _, points = lanes(plot_run("fork", history(6, "loss"), own, None, None).axes[-1])
    assert points == {"note": [4.5]}


def test_only_the_metrics_that_are_asked_for_are_drawn(staged):
    figure = curves_figure(staged, ["val_acc"])
    assert [axis.get_ylabel() for axis in figure.axes] == ["acc", ""]
    with pytest.raises(UnknownMetricError, match=r"The figure needs the metric 'los'.*train_loss, val_acc"):
        curves_figure(staged, ["los"])


def test_one_prefix_has_one_look_on_all_axes_and_the_monitored_metric_is_wider():
    found = history(3, "train_loss", "val_loss", "val_acc")
    loss, acc = plot_run("a", found, [], "val_loss", None).axes
    train, val = loss.get_lines()
    [val_acc] = acc.get_lines()
    assert val.get_color() == val_acc.get_color() != train.get_color()
    assert val.get_linestyle() == val_acc.get_linestyle() != train.get_linestyle()
    assert val.get_linewidth() > train.get_linewidth()


def test_a_metric_that_is_not_logged_in_every_epoch_is_one_line():
    found = MetricHistory()
    for epoch in range(5):
        found = found.append(epoch, {"val_loss": float(epoch)} if epoch % 2 == 0 else {"train_loss": 1.0})
    val = next(
        line
        for line in plot_run("a", found, [], None, None).axes[0].get_lines()
        if len(line.get_xdata()) == 3
    )
    assert list(val.get_xdata()) == [0, 2, 4]


def test_names_that_look_like_mathematics_or_begin_with_an_underscore_are_drawn_as_they_are():
    found = history(2, "$x$_loss", "_odd_loss")
    texts = [text.text for text in drawn_texts(plot_run("$a_1$", found, steps(2), None, None))]
    assert {"$a_1$", "$x$_loss", "_odd_loss", "train_epoch  6.0s"} <= set(texts)


def test_stages_that_have_no_room_for_their_names_have_numbers_that_are_explained():
    figure = plot_run("many", history(40, "val_loss"), steps(40, stages=20), None, None)
    texts = [text.text for text in drawn_texts(figure)]
    assert {"1", "20"} <= set(texts)
    assert any(
        text.startswith("stages: 1\N{NO-BREAK SPACE}stage-0, 2\N{NO-BREAK SPACE}stage-2") for text in texts
    )


def test_forks_and_shadow_conditions_that_have_no_room_share_a_line():
    marks = Marks(forks=[(f"f{number}", number) for number in range(9)])
    labels, points = lanes(plot_run("a", history(9, "loss"), [], None, None, marks).axes[-1])
    assert labels == [*(f"fork: f{n}, epoch {n}" for n in range(5)), "fork: 4 more"]
    assert points["fork: 4 more"] == [5.5, 6.5, 7.5, 8.5]


class Fit(TrainEpoch):
    """Training under a name of its own."""


class Look(Validate):
    """And validation."""


def test_phases_are_known_by_their_classes_whatever_they_are_called(make_trainer):
    from burr.core.graph import GraphBuilder

    from burr_lightning.machines import FINISHED, VALIDATION_DUE

    machine = (
        GraphBuilder()
        .with_actions(valued=Fit(), ex=Look(), best_model=Call(print))
        .with_transitions(
            ("valued", "ex", VALIDATION_DUE),
            (["valued", "ex"], "best_model", FINISHED),
            (["valued", "ex"], "valued"),
        )
        .build()
    )
    module = ScriptedModule(val_loss=[1.0])
    make_trainer(BurrCallback("a", machine=machine), max_epochs=1).fit(
        module, scripted_loader(), scripted_loader()
    )
    kinds = {step.action: phase_of(step) for step in Run.open("a").path}
    assert kinds == {"valued": "train", "ex": "validate", "best_model": None}


def test_a_phase_that_failed_is_known_as_one(make_trainer):
    class Breaks(ScriptedModule):
        def training_step(self, batch, batch_idx):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        make_trainer(BurrCallback("a"), max_epochs=1).fit(Breaks(val_loss=[1.0]), *[scripted_loader()] * 2)
    run = Run.open("a")
    assert phase_of(run.path[-1]) == "train"
    figure = curves_figure(run)
    assert figure.get_suptitle() == "a: failed, ValueError: broken"
    assert FAILED in {line.get_color() for line in figure.axes[-1].get_lines()}
