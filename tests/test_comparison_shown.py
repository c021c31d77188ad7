"""A comparison as a table, as text, as a data frame and as figures."""

import math
import re
import sys

import pytest
from rich.console import Console
from test_comparing import EARLY, FALLING, both, recording

from burr_lightning import MetricHistory, compare_stopping
from burr_lightning.conditions import max_epochs, not_finite, plateau
from burr_lightning.errors import ArgumentError, MissingExtraError
from burr_lightning.plots import plot_run
from burr_lightning.stopping.printed import _number, table

NUMBER = re.compile(r"-?\d[\d.e+-]*|inf")


def printed(found, width=120):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(found)
    return [line.rstrip() for line in captured.get().splitlines()]


def rows(found, width=120):
    """The cells of each line under the headings, and the lines above."""
    lines = printed(found, width)
    rule = next(number for number, line in enumerate(lines) if line.startswith("──"))
    cells = [re.split(r" {2,}", line.strip()) for line in lines[rule + 1 :] if line.strip()]
    return cells, " ".join(" ".join(lines[:rule]).split())


def test_every_cell_of_the_table_is_the_number_of_its_heading():
    cells, above = rows(both())
    assert above.endswith("condition epochs regret saved (i-Epoch's)")
    assert above.startswith(
        "medians [quartiles] of 2 histories, val_loss (lower is better, as nobody gave its"
    )
    assert cells[:4] == [
        ["hasty", "4", "0.05", "1 epoch", "0.05"],
        ["stops 1 of 2", "[4, 4]", "[0.025, 0.075]", "(0.05)"],
        ["patient", "5", "0", "0 epochs", "0"],
        ["stops 0 of 2", "[4.5, 5.5]", "[0, 0]", "(0)"],
    ]
    assert [row[0] for row in cells[4:]] == [
        "train to the end",
        "stops 0 of 2",
        "i-Epoch (5 epochs)",
        "stops 1 of 2",
    ]


def test_the_table_of_one_history_has_its_seconds():
    import numpy as np

    timed = recording([0.9, 0.5, 0.6, 0.7, 0.4], "mine", seconds=np.array([1, 2.5, 4, 5.5, 2000]))
    cells, above = rows(compare_stopping(timed, plateau("val_loss", 2), "val_loss", "max"))
    assert above.startswith("mine, val_loss (higher is better, as was asked for)")
    assert cells[0] == ["plateau(val_loss, patience=2)", "3", "0", "2 epochs"]
    assert cells[1] == ["1996 s"]


def test_the_title_says_who_gave_the_direction():
    declared = recording([0.9], directions={"val_loss": "max"})
    found = compare_stopping(declared, max_epochs(1), "val_loss")
    assert "(higher is better, as the histories say)" in rows(found)[1]


@pytest.mark.parametrize("width", [80, 100])
def test_no_number_is_cut_where_there_is_little_room(width):
    import numpy as np

    noise = np.random.default_rng(0).random((9, 50)) * np.logspace(-5, 5, 9)[:, None]
    histories = [recording(values.tolist(), seconds=np.arange(50) * 1234.5) for values in noise]
    name = 'plateau("val_loss", patience=3) & ~reached("val_acc", 0.9, mode="max")'
    found = compare_stopping(histories, {name: plateau("val_loss", 2), "x" * 40: max_epochs(7)}, "val_loss")
    lines = printed(found, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    for heading in ("condition", "epochs", "regret", "saved", "mean regret", "(i-Epoch's)"):
        assert heading in text
    written = set(NUMBER.findall(text))
    for one in found.summaries:
        numbers = [one.mean_regret, one.same_cost_regret, one.epochs_saved.median, one.seconds_saved.median]
        for spread in (one.epochs, one.regret):
            numbers += [spread.lower, spread.median, spread.upper]
        assert {_number(number) for number in numbers} <= written


def test_a_long_name_over_the_figure_does_not_run_into_its_legend():
    name = "digits optimizer=sgd lr=0.59 width=128 depth=3 dropout=0.3 weight_decay=0.0 batch_size=8 seed=27"
    found = compare_stopping({"a": EARLY, name: [{"v": math.nan}] * 2}, max_epochs(1), "v")
    figure = found.plot_tradeoff()
    figure.draw_without_rendering()
    title, [legend] = figure.axes[0].title, figure.legends
    assert "seed=27" in title.get_text()
    assert title.get_window_extent().x1 < legend.get_window_extent().x0


def test_what_counts_in_no_regret_is_said_under_the_table_and_over_the_figure():
    nothing = [{"v": math.nan}] * 2
    found = compare_stopping({"a": EARLY, "n": nothing}, {"nf": not_finite("v")}, "v")
    said = "in no regret, for want of a finite best value: n"
    assert said in printed(found)
    assert said in found.plot_tradeoff().axes[0].get_title()
    many = {f"n{number}": nothing for number in range(7)}
    below = " ".join(printed(compare_stopping(many, max_epochs(1), "v")))
    assert below.endswith("value: n0, n1, n2, n3, n4 and 2 more")
    assert rows(found)[0][0][2] == "inf"
    assert "for want" not in " ".join(printed(both()))


def test_a_comparison_as_text_and_as_a_frame():
    found = both()
    frame = found.to_pandas()
    assert frame.loc[frame.condition == "hasty", "epochs_saved"].tolist() == [2, 0]
    assert found.to_dicts()[0]["regret"] == pytest.approx(0.1)
    assert "hasty: 4 epochs, regret 0.05 on average" in str(found)
    assert str(compare_stopping(EARLY, max_epochs(1), "v")).startswith("1 history, v (min)\n")


def marks(axis):
    return {line.get_label(): line for line in axis.get_lines()}


def test_the_figure_marks_each_stop_where_it_is(tmp_path):
    figure = both().plot(tmp_path / "stops.png")
    first, second = marks(figure.axes[0]), marks(figure.axes[1])
    assert first["hasty"].get_xydata().tolist() == [[3, 0.7]]
    assert first["hasty"].get_markerfacecolor() != "none"
    assert first["patient"].get_markerfacecolor() == "none"
    assert second["hasty"].get_xydata().tolist() == [[3, 0.5]]
    assert second["hasty"].get_markerfacecolor() == "none"
    assert second["val_loss"].get_ydata().tolist() == [0.8, 0.7, 0.6, 0.5]
    assert figure.axes[1].get_title() == "b"
    assert (tmp_path / "stops.png").stat().st_size > 1000


def legend_of(figure):
    [legend] = figure.legends
    return {
        text.get_text(): handle
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }


def test_the_legend_has_every_condition_filled_whatever_the_first_history_shows():
    late = [{"epoch": 0, "other": 1.0}, {"epoch": 1, "v": 0.5}]
    conditions = {"_one": max_epochs(1), "never": plateau("v", 9), "two": max_epochs(2)}
    found = compare_stopping({"late": late, "b": FALLING}, conditions, "v")
    figure = found.plot()
    assert "_one" not in marks(figure.axes[0])
    legend = legend_of(figure)
    assert list(legend) == ["v", "_one", "never", "two"]
    assert all(legend[name].get_markerfacecolor() != "none" for name in conditions)
    for name in conditions:
        mark = marks(figure.axes[1])[name]
        assert legend[name].get_marker() == mark.get_marker()
        assert legend[name].get_markeredgecolor() == mark.get_markeredgecolor()
    assert list(legend_of(found.plot_tradeoff()))[2:5] == [
        "_one (infinite regret: not drawn)",
        "never",
        "two",
    ]


def test_the_legend_of_one_history_says_the_epochs():
    figure = compare_stopping(FALLING, {"two": max_epochs(2), "no": plateau("v", 9)}, "v").plot()
    assert list(legend_of(figure)) == ["v", "two (epoch 1)", "no (never)"]


def test_the_tradeoff_has_every_condition_the_front_and_i_epoch():
    found = both()
    axis = found.plot_tradeoff().axes[0]
    lines = marks(axis)
    assert lines["hasty"].get_xydata().tolist() == [[4.0, pytest.approx(0.05)]]
    assert list(lines["i-Epoch, any number"].get_xdata()) == found.fixed.costs.tolist()
    assert list(lines["Pareto front of the conditions"].get_xdata()) == [4.0, 5.0]
    assert axis.get_yscale() == "linear"
    assert list(axis.texts) == []


def test_regrets_of_very_different_sizes_are_drawn_apart():
    histories = [recording([9.0, 0.001, 0.0])]
    axis = compare_stopping(histories, [max_epochs(1), max_epochs(2)], "val_loss").plot_tradeoff().axes[0]
    assert axis.get_yscale() == "symlog"
    assert axis.get_ylim()[0] == pytest.approx(-0.0003)


def test_a_tradeoff_of_nothing_says_so():
    figure = compare_stopping(recording([math.nan] * 3), {"one": max_epochs(1)}, "val_loss").plot_tradeoff()
    [text] = figure.axes[0].texts
    assert text.get_text().startswith("No history has a finite best value")
    assert "one (no regret)" in legend_of(figure)


@pytest.mark.parametrize("function", ["plot", "plot_tradeoff"])
def test_where_no_picture_can_be_written_is_said_before_one_is_drawn(function, tmp_path):
    draw = getattr(both(), function)
    for path in ("stops.xyz", "stops", tmp_path / "stops.jpg"):
        said = re.escape(f"comparison.{function}({str(path)!r}): a picture is a file that ends in .png, .svg")
        with pytest.raises(ArgumentError, match=said):
            draw(path)
    with pytest.raises(ArgumentError, match=f"there is no folder {tmp_path}/nodir"):
        draw("nodir/stops.png")


@pytest.mark.parametrize(
    ("module", "ask", "call", "extra"),
    [
        ("matplotlib.figure", lambda: both().plot(), "comparison.plot()", "plot"),
        ("matplotlib.figure", lambda: both().plot("a.png"), "comparison.plot('a.png')", "plot"),
        ("matplotlib.figure", lambda: both().plot_tradeoff(), "comparison.plot_tradeoff()", "plot"),
        ("matplotlib.figure", lambda: plot_run("", MetricHistory(), [], None, None), "run.plot()", "plot"),
        ("pandas", lambda: both().to_pandas(), "comparison.to_pandas()", "pandas"),
        ("rich.table", lambda: table(both()), "The table of a comparison", "cli"),
    ],
)
def test_what_is_missing_is_said_with_the_extra_that_brings_it(monkeypatch, module, ask, call, extra):
    monkeypatch.setitem(sys.modules, module, None)
    said = rf"^{re.escape(call)}: this needs .* pip install 'burr-lightning\[{extra}\]'\.$"
    with pytest.raises(MissingExtraError, match=said):
        ask()
