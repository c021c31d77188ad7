"""Figures of studies: what is in them, and that it can be read."""

import sys

import pytest
from drawn import cut_off, drawn_texts, overlapping
from matplotlib.colors import to_hex
from matplotlib.text import Text
from studies import BEGAN, MANY, SPACE, Told, all_fail, fails_at_2, search, told

from burr_lightning.errors import ArgumentError, MissingExtraError, NotDrawnError
from burr_lightning.plots import Bar, Parameter, Tried, parameters_of, plot_workers
from burr_lightning.plots.style import PALETTE
from burr_lightning.plots.trials import extent_of, round_ticks
from burr_lightning.tuning import Ledger, Study
from burr_lightning.tuning.attempts import attempts_of
from burr_lightning.tuning.figures import KINDS, importance_of
from burr_lightning.tuning.outcomes import INTERRUPTED

STUDIES = {
    "one": lambda: told(1),
    "three": lambda: told(3, workers=2),
    "thirty": lambda: told(30),
    "a thousand": lambda: told(1000, workers=16),
    "two directions": lambda: told(40, several=True),
    "many parameters": lambda: told(30, MANY),
    "one parameter": lambda: told(30, {"lr": SPACE["lr"]}),
    "some far off": lambda: told(40, worst=1e9),
    "some infinite": lambda: told(40, worst=float("inf")),
    "unknown workers": lambda: told(30, named=False),
    "many workers": lambda: told(200, workers=64),
    "interrupted": lambda: told(30, pause=20_000.0),
}
NEEDS_TWO = [("one", "importance")]


def colors(figure):
    """The colors of what shows data: lines, marks and bars."""
    found = set()
    for axis in figure.axes:
        for line in axis.get_lines():
            found |= {to_hex(line.get_color()), to_hex(line.get_markerfacecolor())}
        for bars in axis.collections:
            found |= {to_hex(color) for color in bars.get_facecolor()}
        found |= {to_hex(patch.get_facecolor()) for patch in axis.patches}
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", STUDIES)
def test_no_text_lies_over_another_or_is_cut_off_and_all_colors_are_of_the_palette(name, kind):
    if (name, kind) in NEEDS_TWO:
        pytest.skip("a test of its own has that it is refused")
    figure = STUDIES[name]().plot(kind)
    assert overlapping(figure) == []
    assert cut_off(figure) == []
    assert colors(figure) <= {color.lower() for color in PALETTE} | {"#ffffff"}
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text() and text.get_visible()}
    assert min(sizes) >= 7.4, "what is printed as large as it is drawn can be read"


def lines(axis, name):
    """The points of the lines that the legend calls so."""
    legend = axis.get_legend() or axis.figure.legends[0]
    names = [text.get_text() for text in legend.get_texts()]
    look = legend.legend_handles[names.index(name)]
    wanted = (look.get_color(), look.get_marker(), look.get_linestyle())
    found = [each for each in axis.get_lines() if looks(each) == wanted]
    return [(float(x), float(y)) for each in found for x, y in zip(*each.get_data(), strict=True)]


def looks(line):
    return line.get_color(), line.get_marker(), line.get_linestyle()


class TestHistory:
    def test_of_a_real_study(self):
        values = [5.0, 3.0, 4.0, 2.0]
        study = search(fn=lambda trial: values[trial.number], n_trials=4).run()
        [axis] = study.plot("history").axes
        assert lines(axis, "finished") == [(0, 5.0), (1, 3.0), (2, 4.0), (3, 2.0)]
        assert lines(axis, "the best so far") == [(0, 5.0), (1, 3.0), (3, 2.0), (3, 2.0)]
        assert lines(axis, "the best: trial 3") == [(3, 2.0)]
        assert axis.figure.get_suptitle() == "search: n_trials=4: so many trials are over"

    def test_the_highest_is_the_best_where_it_is_to_be_high(self):
        values = [5.0, 3.0, 7.0]
        study = search(fn=lambda trial: values[trial.number], n_trials=3, direction="max").run()
        assert lines(study.plot().axes[0], "the best: trial 2") == [(2, 7.0)]

    def test_what_has_no_value_has_a_lane(self):
        study = search(fn=fails_at_2, n_trials=4).run()
        values, lanes = study.plot("history").axes
        assert [label.get_text() for label in lanes.get_yticklabels()] == ["failed"]
        assert [list(line.get_xdata()) for line in lanes.get_lines()] == [[2]]
        assert lines(values, "finished") == [(0, 0), (1, 1), (3, 3)]

    def test_each_direction_has_an_axis(self):
        study = search(fn=lambda trial: (trial.number, -trial.number), n_trials=3, direction=["min", "max"])
        first, second = study.run().plot("history").axes
        assert (first.get_ylabel(), second.get_ylabel()) == ("value 0", "value 1")
        assert lines(second, "finished") == [(0, 0), (1, -1), (2, -2)]

    def test_what_is_far_off_is_at_the_edge_and_counted(self):
        values = [-1.0, 1.0, 2.0, 3.0, 1e6, float("inf")]
        study = search(fn=lambda trial: values[trial.number]).run()
        [axis] = study.plot("history").axes
        assert lines(axis, "worse than the axis shows: 2") == [(4, 3.0), (5, 3.0)]
        assert axis.get_ylim()[1] < 4

    def test_a_study_without_trials_can_be_drawn(self):
        figure = search().plot("history")
        assert figure.axes[0].get_xlabel() == "trial (none was suggested yet)"


class TestParallel:
    def test_a_line_goes_through_what_its_trial_was_given(self):
        space = {"lr": SPACE["lr"], "kind": SPACE["kind"]}
        ledger = (
            Ledger()
            .suggested({"lr": 1e-4, "kind": "sgd"}, "a-0")
            .suggested({"lr": 1e-2, "kind": "adamw"}, "a-1")
        )
        for number, value in enumerate([3.0, 1.0]):
            ledger = ledger.launched(number, at=BEGAN).ended(number, "finished", at=BEGAN, values=[value])
        [axis] = Told(ledger, space).plot("parallel").axes
        best = lines(axis, "the best: trial 1")
        assert best[0] == (0, 1.0), "the highest learning rate is on top"
        assert best[1][1] == pytest.approx(2 / 3, abs=0.03), "the third of four choices"
        assert best[2] == (2, 1.0), "the lowest loss is on top, as it is better"
        texts = {text.text for text in drawn_texts(axis.figure)}
        assert {"lr", "kind", "val_loss", "↑ lower", "0.0001", "0.01", "sgd", "rmsprop"} <= texts

    def test_the_best_tenth_stands_out(self):
        [axis] = told(40, {"lr": SPACE["lr"]}).plot("parallel").axes
        names = [text.get_text() for text in axis.get_legend().get_texts()]
        assert names == ["pruned", "finished", "the best 3", "the best: trial 36"]

    def test_of_several_directions_those_that_no_other_one_beats(self):
        study = told(30, several=True)
        [axis] = study.plot("parallel").axes
        assert len(lines(axis, "the best ones")) == len(study.best_trials) * (len(SPACE) + 2)

    def test_a_parameter_that_a_trial_has_not_is_a_gap(self):
        def sampler(ledger):
            return {"a": 1.0 + len(ledger), **({"b": "x"} if len(ledger) % 2 else {})}

        study = search(fn=lambda trial: trial.params["a"], space=None, sampler=sampler, n_trials=4).run()
        [axis] = study.plot("parallel").axes
        points = lines(axis, "the best: trial 0")
        assert [y == y for _, y in points] == [True, False, True]


class TestSlices:
    def test_a_panel_for_each_parameter_and_its_scale(self):
        figure = told(30).plot("slices")
        panels = {axis.get_xlabel(): axis for axis in figure.axes if axis.get_xlabel()}
        assert list(panels) == list(SPACE)
        assert {name: axis.get_xscale() for name, axis in panels.items()} == {
            **dict.fromkeys(SPACE, "linear"),
            "lr": "log",
            "width": "log",
        }
        assert [t.get_text() for t in panels["kind"].get_xticklabels()] == ["sgd", "adam", "adamw", "rmsprop"]

    def test_the_marks_are_where_the_values_are(self):
        study = search(fn=fails_at_2, n_trials=4).run()
        axis = study.plot("slices").axes[0]
        own = [trial.params["lr"] for trial in study.trials]
        assert lines(axis, "finished") == [(own[0], 0), (own[1], 1), (own[3], 3)]
        assert lines(axis, "failed, no value") == [(own[2], 0)]

    def test_two_directions_have_two_blocks(self):
        figure = told(30, {"lr": SPACE["lr"]}, several=True).plot("slices")
        assert [axis.get_ylabel() for axis in figure.axes] == ["value 0", "value 1"]


class TestImportance:
    def test_what_decides_is_on_top(self):
        study = search(n_trials=60).run()
        shares = importance_of(study)
        assert max(shares, key=shares.get) == "lr"
        assert sum(shares.values()) == pytest.approx(1.0)
        [axis] = study.plot("importance").axes
        assert axis.get_yticklabels()[0].get_text() == "lr"
        assert [bar.get_width() for bar in axis.patches] == sorted(shares.values(), reverse=True)

    def test_few_trials_are_said_to_be_few(self):
        few, many = (search(f"n{n}", n_trials=n).run().plot("importance").get_supxlabel() for n in (5, 60))
        assert "With fewer than 50 it says little" in few
        assert "fewer than" not in many
        assert "from 60 finished trials" in many.replace("\n", " ")

    def test_several_directions_are_looked_at_together(self):
        study = search(fn=lambda t: (t.params["lr"], -t.params["lr"]), direction=["min", "max"], n_trials=20)
        assert max(importance_of(study.run()).items(), key=lambda item: item[1])[0] == "lr"

    def test_one_finished_trial_is_too_little(self):
        study = search(n_trials=1).run()
        with pytest.raises(
            NotDrawnError, match=r"Study\('search'\).plot\('importance'\).*needs two of them: 1 of 1 has"
        ):
            study.plot("importance")

    def test_without_distributions_it_is_said_what_is_missing(self):
        study = search(space=None, sampler=lambda ledger: {"a": len(ledger)}, fn=lambda t: 1.0, n_trials=3)
        with pytest.raises(NotDrawnError, match=r"Study\(space=...\) was not given"):
            study.run().plot("importance")


class TestWorkers:
    def rows(self, figure):
        [axis] = figure.axes
        return [label.get_text() for label in axis.get_yticklabels()]

    def test_a_row_for_each_in_its_natural_order(self):
        figure = told(30, workers=12).plot("workers")
        assert self.rows(figure) == [f"slot {number}" for number in range(12)]

    def test_unknown_workers_are_as_few_rows_as_trials_ran_at_once(self):
        bars = [Bar(0, None, 0, 9, "finished"), Bar(1, None, 3, 5, "failed"), Bar(2, None, 6, 9, "pruned")]
        assert self.rows(plot_workers("a", bars)) == ["lane 1", "lane 2"]

    def test_a_long_break_is_cut_and_named(self):
        [axis] = told(30, pause=20_000.0).plot("workers").axes
        assert "without a break of 5h 33m, in which nothing ran (gray)" in axis.get_xlabel()
        assert axis.get_xlim()[1] < 20_000

    def test_what_no_process_runs_any_more_is_lost(self):
        def names(study):
            return {text.get_text() for text in study.plot("workers").axes[0].get_legend().get_texts()}

        assert "running" in names(told(20, is_run=True))
        assert "running" not in names(told(20))

    def test_a_real_study_has_a_bar_for_each_trial(self):
        figure = search(n_trials=4, parallel=2).run().plot("workers")
        [axis] = figure.axes
        assert sum(len(bars.get_paths()) for bars in axis.collections) == 4
        assert axis.get_xlabel() == "seconds since the first trial was begun"

    def test_before_any_trial_it_says_so(self):
        assert "No trial was begun yet." in {text.text for text in drawn_texts(search().plot("workers"))}


class TestAttempts:
    def test_every_time_that_a_trial_was_begun(self):
        ledger = Ledger().suggested({}, "a-0").suggested({}, "a-1")
        ledger = ledger.launched(0, at=1.0, worker="slot 0").launched(1, at=2.0, worker="slot 1")
        ledger = ledger.set_back(0, "it died", died=True).launched(0, at=4.0, worker="slot 2")
        ledger = ledger.ended(0, "finished", at=7.0, values=[1.0])
        found = [(a.trial, a.worker, a.began, a.ended, a.status) for a in attempts_of(ledger)]
        assert found == [
            (0, "slot 0", 1.0, 4.0, "lost"),
            (1, "slot 1", 2.0, None, "running"),
            (0, "slot 2", 4.0, 7.0, "finished"),
        ]

    def test_an_interruption_ends_them_when_the_study_was_last_heard_of(self):
        ledger = Ledger().suggested({}, "a-0").suggested({}, "a-1")
        ledger = ledger.launched(0, at=1.0).launched(1, at=2.0).ended(0, "pruned", at=5.0)
        ledger = ledger.set_back(1, INTERRUPTED, died=False).launched(1, at=900.0)
        assert [(a.ended, a.status) for a in attempts_of(ledger)] == [
            (5.0, "pruned"),
            (5.0, "lost"),
            (None, "running"),
        ]

    def test_the_reason_is_the_one_that_a_study_writes(self):
        study = search("cut")
        state = study.settings.first_state()
        ledger = state["ledger"].suggested({}, "cut-0").launched(0, at=1.0)
        again = study.settings.as_configured_now(state.update(ledger=ledger))["ledger"]
        assert again[0].reason == INTERRUPTED
        assert [a.status for a in attempts_of(again)] == ["lost"]

    def test_nothing_is_lost_that_nobody_heard_of_again(self):
        ledger = Ledger().suggested({}, "a-0").launched(0, at=3.0).set_back(0, "it died", died=True)
        assert [(a.ended, a.status) for a in attempts_of(ledger)] == [(3.0, "lost")]


def test_the_best_trials_are_those_that_no_other_one_beats():
    values = [(1, 5), (2, 9), (2, 8), (3, 9), (0, 1)]
    study = search(fn=lambda t: values[t.number], direction=["min", "max"], n_trials=5).run()
    assert [trial.number for trial in study.best_trials] == [0, 1, 4]
    assert [trial.number for trial in study.best_trials] == sorted(
        trial.number for trial in study.to_optuna().best_trials
    )


def test_parameters_that_nobody_described_look_like_their_values():
    tried = [Tried(0, "finished", {"a": 1, "b": "x", "c": 1e-5}), Tried(1, "failed", {"b": 3, "c": 1.0})]
    assert parameters_of(tried) == [
        Parameter("a"),
        Parameter("b", choices=("x", "3")),
        Parameter("c", log=True),
    ]


def test_an_axis_shows_all_unless_some_are_far_off():
    assert extent_of([3.0, 1.0, 2.0], "min").high == 3.0
    assert extent_of([0.98, 0.9, 0.1], "max").low == 0.1
    assert extent_of([1.0, 0.9, 0.8, -1e5], "max").low == 0.8
    assert extent_of([1e-6, 1.0], "min").log
    assert extent_of([0.10, 0.11, 0.12, 0.13, 9.0], "min").log, "a loss: magnitudes tell"
    assert not extent_of([0.99, 0.98, 0.97, 0.96, 0.1], "max").log, "an accuracy: they do not"
    few = extent_of([-1.0, 0.0, 0.1, *range(100, 110)], "min")
    assert sum(map(few.shows, [-1.0, 0.0, 0.1, *range(100, 110)])) >= 11
    assert extent_of([float("inf")], "min").high == 1.0


@pytest.mark.parametrize(
    ("low", "high", "log", "ticks"),
    [
        (0.0, 1.0, False, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1e-4, 1e-1, True, [1e-4, 1e-3, 1e-2, 1e-1]),
        (5.0, 5.0, False, [5.0]),
    ],
)
def test_ticks_are_round(low, high, log, ticks):
    assert round_ticks(low, high, log=log) == pytest.approx(ticks)


def test_ends_that_are_far_from_round_are_ticks_as_well():
    assert round_ticks(8, 512, log=True)[0] == pytest.approx(10)
    assert round_ticks(8, 512, log=True)[-1] == 512


@pytest.mark.parametrize("kind", ["parallel", "slices"])
def test_without_a_value_it_is_said_what_to_wait_for(kind):
    all_fail(trials=1)
    study = Study.open("search")
    with pytest.raises(NotDrawnError, match=rf"plot\('{kind}'\): none of its trials came to a value. Wait"):
        study.plot(kind)


def test_another_kind_is_refused_with_those_that_there_are():
    with pytest.raises(ArgumentError, match=r"Study.plot\('curves'\): there is no such figure.*history, par"):
        search().plot("curves")


def test_a_picture_is_written_where_it_can_be(tmp_path):
    study = search(n_trials=3).run()
    study.plot("history", tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    with pytest.raises(ArgumentError, match=r"Study.plot\('history', 'a.gif'\): a picture is a file that"):
        study.plot("history", "a.gif")


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        MissingExtraError, match=r"Study\('search'\).plot\('history'\).*burr-lightning\[plot\]"
    ):
        search().plot("history")


def test_an_opened_study_is_drawn_as_the_one_that_ran():
    ran = search(n_trials=4).run()
    opened = Study.open("search")
    for kind in KINDS:
        assert [t.text for t in drawn_texts(opened.plot(kind))] == [
            t.text for t in drawn_texts(ran.plot(kind))
        ]
