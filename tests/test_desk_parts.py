"""What the pages are made of: curves with fewer points, timelines, paths, forms, words."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from burr_lightning.desk.forms import inputs_of, typed_values
from burr_lightning.desk.path_view import path_items
from burr_lightning.desk.timeline import WIDTH, timeline
from burr_lightning.desk.words import command_line, iso, minute, moment, writable
from burr_lightning.questions import Field, Question
from burr_lightning.steps import Step
from burr_lightning.thinning import thinned

BEGAN = datetime(2026, 1, 1)
VALUES = st.one_of(st.none(), st.floats(-1e6, 1e6))


def steps_of(*named, gap=0.0):
    """Steps that follow one another: an action and its seconds each."""
    steps, at = [], BEGAN
    for number, (action, seconds) in enumerate(named):
        ended = at + timedelta(seconds=seconds)
        steps.append(Step(number, action, at, ended, action == "fails", None))
        at = ended + timedelta(seconds=gap)
    return steps


class TestThinned:
    @given(st.lists(VALUES, min_size=1, max_size=300), st.integers(8, 60))
    def test_peaks_valleys_gaps_and_ends_stay(self, values, most):
        at, kept = thinned(range(len(values)), values, most)
        assert len(at) == len(kept) <= max(most, min(len(values), most))
        assert (at[0], at[-1]) == (0, len(values) - 1)
        assert at == sorted(set(at))
        assert all(kept[i] is values[where] for i, where in enumerate(at))
        known = [value for value in values if value is not None]
        if known:
            assert (min(known), max(known)) == (
                min(v for v in kept if v is not None),
                max(v for v in kept if v is not None),
            )
        assert (None in values) == (None in kept)

    def test_a_short_curve_stays_as_it_is(self):
        assert thinned([3, 4], [0.5, None]) == ([3, 4], [0.5, None])

    def test_a_long_one_has_as_many_points_as_asked_for(self):
        at, _ = thinned(range(5000), [float(i % 7) for i in range(5000)])
        assert 1000 < len(at) <= 2000


class TestTimeline:
    def test_each_action_has_its_lane(self):
        found = timeline(
            steps_of(("process", 1), ("train", 7), ("validate", 2), ("train", 8), ("validate", 2))
        )
        numbers = [(lane.action, lane.times, lane.seconds, lane.longest) for lane in found.lanes]
        assert numbers == [("process", 1, 1, 1), ("train", 2, 15, 8), ("validate", 2, 4, 2)]
        assert found.seconds == 20
        train = found.lanes[1].bars
        assert [(bar.at, bar.width) for bar in train] == [(50, 350), (500, 400)]

    def test_a_time_in_which_nothing_ran_is_cut_out(self):
        found = timeline(steps_of(("train", 5), ("train", 5), gap=3600))
        assert [(cut.at, cut.seconds) for cut in found.cuts] == [(WIDTH / 2, 3600)]
        assert found.idle == 3600
        assert found.lanes[0].bars[1].at == WIDTH / 2

    def test_many_short_steps_are_few_bars(self):
        found = timeline(steps_of(*[("train", 8), ("validate", 1)] * 5000))
        assert all(len(lane.bars) <= WIDTH for lane in found.lanes)
        assert [lane.times for lane in found.lanes] == [5000, 5000]

    def test_a_failed_step_stays_seen_among_many(self):
        found = timeline(steps_of(*[("train", 1)] * 3000, ("fails", 0.001)))
        (bar,) = found.lanes[1].bars
        assert bar.failed
        assert bar.width >= 1
        assert bar.at + bar.width <= WIDTH

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1e5)), min_size=1, max_size=80))
    def test_no_bar_leaves_the_picture(self, named):
        for lane in timeline(steps_of(*named)).lanes:
            assert all(bar.at >= 0 and bar.at + bar.width <= WIDTH + 1e-6 for bar in lane.bars)

    def test_a_clock_that_was_set_back(self):
        steps = steps_of(("train", 5), ("train", 5))
        back = Step(2, "train", BEGAN - timedelta(days=1), None, False, None)
        assert timeline([*steps, back]).cuts == ()


class TestPath:
    def test_what_repeats_is_one_item(self):
        named = [("a", 1), *[("b", 2), ("c", 4)] * 3, ("d", 1), ("d", 3)]
        one, group, last = path_items(steps_of(*named))
        assert (one.action, one.times, one.mean) == ("a", 1, 1)
        assert (group.times, [(item.action, item.mean) for item in group.inner]) == (3, [("b", 2), ("c", 4)])
        assert (last.action, last.times, last.mean, last.inner) == ("d", 2, 2, ())


class TestForm:
    def question(self, *fields):
        return Question(1, "review", "Go on?", fields, None, 0, 0.0)

    def test_what_may_be_left_out_has_a_choice_for_that(self):
        asked = self.question(Field("sure", "bool", False), Field("how", "str", True, ("fast", "slow")))
        sure, how = inputs_of(asked, {"how": "slow"})
        chosen = [[(choice.value, choice.chosen) for choice in one.choices] for one in (sure, how)]
        assert chosen == [[("yes", False), ("no", False), ("", True)], [("fast", False), ("slow", True)]]

    def test_what_is_typed_stays(self):
        (lr,) = inputs_of(self.question(Field("lr", "float", True)), {"lr": "abc"})
        assert (lr.name, lr.typed, lr.choices) == ("field.lr", "abc", ())

    def test_only_what_is_asked_for_is_a_value(self):
        assert typed_values({"key": "x", "field.lr": "1", "comment": "", "field.": "2"}) == {
            "lr": "1",
            "": "2",
        }


@pytest.mark.parametrize("launch", [None, {}, {"command": None}, {"command": []}, {"command": "x"}, [], "x"])
def test_a_run_without_a_command_has_none(launch):
    assert command_line(launch) is None


@given(st.one_of(st.floats(), st.integers(), st.text(), st.none(), st.lists(st.integers())))
def test_whatever_is_called_a_moment_has_words(value):
    assert moment(value)
    assert minute(value)
    assert iso(value) == "" or datetime.fromisoformat(iso(value)).tzinfo


@given(st.text(st.characters()) | st.text(st.sampled_from("a\ud83d\ude00\udce9<")))
def test_whatever_a_value_is_it_can_be_sent(text):
    for value in (text, Markup(text)):
        shown = writable(value)
        shown.encode()
        assert type(shown) is type(value)
        if max(text, default="") < "\ud800":
            assert shown == value
