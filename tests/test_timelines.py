"""Where the time of a run went: the kinds of time, and the figure of them."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from drawn import drawn_texts
from plotted import BEGAN, steps

from burr_lightning import BurrCallback, Run
from burr_lightning.commit_times import CommitTime, read_commit_times
from burr_lightning.conditions import max_epochs
from burr_lightning.figures import timeline_figure, waits_of
from burr_lightning.plots import Wait, plot_timeline, spent
from burr_lightning.plots.wall_clock import placed, ticks, unit_of
from burr_lightning.steps import Step
from burr_lightning.testing import ScriptedModule, scripted_loader


def at(seconds):
    return BEGAN + timedelta(seconds=seconds)


def phase(number, began, ended, trained=None):
    """A phase of training, and what the run's own clock said at its end."""
    return Step(number, "train_epoch", at(began), at(ended), False, number, None, "train", None, trained)


def kinds(stretches):
    return [(part.kind, part.seconds) for part in stretches]


def totals(stretches):
    found = {}
    for part in stretches:
        found[part.kind] = found.get(part.kind, 0.0) + part.seconds
    return found


def test_every_instant_is_of_one_kind_and_a_step_that_never_ended_has_none():
    found = [
        Step(0, "process_data", at(0), at(1), False, None),
        Step(1, "train_epoch", at(1.5), at(5), False, 0, None, "train"),
        Step(2, "validate", at(5), at(6), False, 0, None, "validate"),
        Step(3, "train_epoch", at(6.25), None, False, None, None, "train"),
    ]
    assert kinds(spent(found)) == [("actions", 1), ("gap", 0.5), ("train", 3.5), ("validate", 1)]
    assert kinds(spent([])) == []


def test_the_gap_after_a_step_that_was_committed_is_one_with_a_commit():
    found = [phase(0, 0, 1), phase(1, 2, 3), phase(2, 4, 5)]
    assert [kind for kind, _ in kinds(spent(found, (), {1}))] == [
        "train",
        "gap",
        "train",
        "commit_gap",
        "train",
    ]


def commit(step, began, ended):
    return CommitTime(step, at(began), at(ended))


def test_a_commit_that_was_measured_is_told_apart_also_inside_a_phase():
    found = [phase(0, 0, 1), phase(1, 2, 5)]
    measured = [commit(0, 1.25, 1.75), commit(0, 3, 3.5), commit(1, 5.5, 6)]
    assert kinds(spent(found, (), {0, 1}, measured)) == [
        *[("train", 1), ("gap", 0.25), ("commit", 0.5), ("gap", 0.25)],
        *[("train", 1), ("commit", 0.5), ("train", 1.5)],
    ]


def test_a_commit_that_begins_in_a_gap_and_ends_in_a_step_is_one_commit_and_no_instant_is_of_two_kinds():
    found = spent([phase(0, 0, 1), phase(1, 2, 3)], (), None, [commit(0, 1.5, 2.5)])
    assert totals(found) == {"train": 1.5, "gap": 0.5, "commit": 1.0}
    assert all(one.ended == other.began for one, other in pairwise(found))


def test_a_run_that_an_older_version_began_has_commits_that_are_measured_and_such_that_are_not():
    found = [phase(0, 0, 1), phase(1, 2, 3), phase(2, 4, 5)]
    assert kinds(spent(found, (), {0, 1}, [commit(1, 3, 3.5)])) == [
        *[("train", 1), ("commit_gap", 1), ("train", 1)],
        *[("commit", 0.5), ("gap", 0.5), ("train", 1)],
    ]


def test_a_commit_before_a_kill_is_no_time_without_a_process():
    steps = [phase(0, 0, 2, 2.0), phase(1, 99, 100, 3.0)]
    assert kinds(spent(steps, (), {0}, [commit(0, 2, 4)])) == [
        *[("train", 2), ("commit", 2), ("away", 95), ("train", 1)]
    ]


def test_a_slow_commit_that_was_measured_is_no_break():
    steps = [phase(0, 0, 2, 2.0), phase(1, 99, 100, 100.0)]
    assert totals(spent(steps, (), {0}, [commit(0, 2, 98)])) == {"train": 3, "commit": 96, "gap": 1}


def test_the_time_from_a_question_to_its_answer_is_a_humans():
    waits = [Wait(at(2), at(12))]
    found = spent([phase(0, 0, 1, 1.0), phase(1, 12.5, 13.5, 3.5)], waits, {0})
    assert kinds(found) == [("train", 1), ("commit_gap", 1), ("human", 10), ("gap", 0.5), ("train", 1)]


def test_a_run_that_still_waits_ends_with_the_wait():
    found = spent([phase(0, 0, 1)], [Wait(at(1.5), at(100))])
    assert kinds(found) == [("train", 1), ("gap", 0.5), ("human", 98.5)]


@pytest.mark.parametrize(
    ("trained", "kind"),
    [
        (3.0, "away"),  # the clock went on by one second, that of the second phase
        (10.0, "away"),  # and where it went on for a while after it
        (100.0, "gap"),  # a slow commit: the clock went on
        (None, "gap"),
    ],
)
def test_no_process_trained_where_the_runs_own_clock_stood_still(trained, kind):
    clock = None if trained is None else 2.0
    found = spent([phase(0, 0, 2, clock), phase(1, 99, 100, trained)])
    assert kinds(found) == [("train", 2), (kind, 97), ("train", 1)]


def test_only_the_longest_gap_between_two_phases_is_the_break():
    between = Step(1, "note", at(3), at(4), False, None)
    found = spent([phase(0, 0, 2, 2.0), between, phase(2, 99, 100, 4.0)])
    assert [kind for kind, _ in kinds(found)] == ["train", "gap", "actions", "away", "train"]


def test_what_follows_an_answer_after_the_last_phase_is_a_break_unless_a_process_went_on_at_once():
    waits = [Wait(at(2), at(10))]
    for began, kind in ((10.4, "gap"), (500, "away")):
        last = Step(1, "best_model", at(began), at(began + 1), False, None)
        found = spent([phase(0, 0, 2, 2.0), last], waits)
        assert [kind for kind, _ in kinds(found)] == ["train", "human", kind, "actions"]


def test_a_clock_that_was_set_back_takes_no_time():
    found = spent([phase(0, 10, 9), phase(1, 3, 4)])
    assert [part.seconds >= 0 for part in found] == [True] * len(found)


# Runs


@pytest.fixture
def answered(make_trainer):
    """A run that has asked once, and gone on with the answer."""

    def train():
        burr = BurrCallback("a", monitor="val_loss", review_when=max_epochs(2))
        module = ScriptedModule(val_loss=[0.5, 0.4, 0.3, 0.2])
        make_trainer(burr, max_epochs=4).fit(module, scripted_loader(), scripted_loader())
        return burr.run

    train().answer("go")
    run = train()
    assert run.status == "finished"
    return run


def test_the_kinds_of_a_run_add_up_to_its_time_and_the_wait_is_what_the_review_says(answered):
    commits = {commit.sequence_id for commit in answered.commits}
    found = spent(answered.path, waits_of(answered), commits, read_commit_times(answered.folder))
    whole = (answered.path[-1].ended - answered.path[0].started).total_seconds()
    taken = totals(found)
    assert sum(taken.values()) == pytest.approx(whole)
    [asked] = answered.reviews
    assert taken["human"] == pytest.approx(asked.answer.answered - asked.question.asked, abs=0.002)
    by_action = {step.action: 0.0 for step in answered.path}
    for step in answered.path:
        by_action[step.action] += step.seconds
    assert taken["train"] == pytest.approx(by_action["train_epoch"])
    assert taken["validate"] == pytest.approx(by_action["validate"])
    assert taken["commit"] > 0
    assert "commit_gap" not in taken, "each commit was measured"


def test_the_figure_has_a_line_for_each_kind_with_its_share(answered):
    figure = timeline_figure(answered)
    assert figure.get_suptitle() == f"a: {answered.stop_reason}"
    labels = [label.get_text().split("  ")[0] for label in figure.axes[1].get_yticklabels()]
    first = ["training", "validation", "other actions", "commits"]
    assert labels[:4] == first
    assert {"waiting for a human", "gaps between actions"} <= {*labels}
    assert "commits" not in figure.get_supxlabel()
    [all_of_it, without] = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert (all_of_it.split("  ")[0], without.split("  ")[0]) == ("all of it", "without breaks")


def test_a_run_that_is_paused_waits_until_now(make_trainer):
    burr = BurrCallback("a", monitor="val_loss", review_when=max_epochs(1))
    make_trainer(burr, max_epochs=4).fit(ScriptedModule(val_loss=[0.5]), *[scripted_loader()] * 2)
    before = datetime.now()
    [wait] = waits_of(Run.open("a"))
    assert wait.asked <= before <= wait.answered


def test_a_run_that_nobody_tracked_says_so(make_trainer):
    make_trainer(BurrCallback("a", tracker=False), max_epochs=1).fit(
        ScriptedModule(val_loss=[0.5]), scripted_loader(), scripted_loader()
    )
    texts = [text.text for text in drawn_texts(timeline_figure(Run.open("a")))]
    assert "Burr's local tracker recorded no step of this run." in texts


# The figure


def spans(collection):
    return [(box.x0, box.width) for box in (path.get_extents() for path in collection.get_paths())]


def test_bars_lie_where_the_steps_were_and_shares_are_percentages():
    found = [phase(0, 0, 6), Step(1, "validate", at(6), at(10), False, 0, None, "validate")]
    shares, lanes = plot_timeline("a", found).axes
    assert [bar.get_width() for bar in shares.patches] == [60, 40]
    assert [text.get_text() for text in shares.texts] == ["60 %", "40 %"]
    bars = [spans(collection) for collection in lanes.collections]
    assert [(0, 6)] in bars
    assert [(6, 4)] in bars
    assert [label.get_text() for label in lanes.get_yticklabels()] == [
        "training  6.0s  60 %",
        "validation  4.0s  40 %",
    ]


def test_what_is_measured_and_what_is_not_is_said_under_the_figure():
    unknown = plot_timeline("a", steps(2))
    known = plot_timeline("a", steps(2), committed={2, 4})
    labels = [
        [label.get_text().split("  ")[0] for label in f.axes[1].get_yticklabels()] for f in (unknown, known)
    ]
    assert labels[0][-1] == "gaps between actions"
    assert labels[1][-2:] == ["gaps with a commit", "other gaps"]
    measured = plot_timeline("a", steps(2), measured=[commit(0, 0.11, 0.15)])
    names = [label.get_text().split("  ")[0] for label in measured.axes[1].get_yticklabels()]
    assert names[-2:] == ["commits", "gaps between actions"]
    assert measured.get_supxlabel().startswith("Gaps between actions hold Lightning's hooks")
    assert unknown.get_supxlabel().startswith("Gaps between actions hold commits, Lightning's hooks")
    assert known.get_supxlabel().startswith("A gap with a commit holds the commit, Lightning's hooks")
    assert all("not measured apart" in figure.get_supxlabel() for figure in (unknown, known))


def test_long_breaks_are_drawn_shorter_and_say_how_long_they_were():
    figure = plot_timeline("a", steps(6, away=(1, 3)))
    lanes = figure.axes[1]
    assert [text.get_text() for text in lanes.texts] == ["3h 00m", "3h 00m"]
    assert lanes.get_xlim()[1] < 60
    assert "without the breaks whose length is written beside them" in lanes.get_xlabel()
    assert "without" not in plot_timeline("a", steps(6)).axes[1].get_xlabel()


def test_ticks_are_round_times_without_the_cut_breaks():
    parts = placed(spent(steps(6, away=(1, 3))))
    cuts = [part for part in parts if part.is_cut]
    assert [part.stretch.kind for part in cuts] == ["away", "away"]
    unit, name = unit_of(parts)
    assert (unit, name) == (1.0, "seconds")
    marked = ticks(parts, unit)
    assert [time for _, time in marked] == [0, 5, 10, 15, 20, 25]
    for at, time in marked:
        before = sum(part.width for part in cuts if part.at < at)
        assert at - before == pytest.approx(time)
