"""Histories of any kind, read into recordings; those of Lightning's loggers are in a file of their own."""

from __future__ import annotations

import math
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from looks import NAN

from burr_lightning import BurrCallback, MetricHistory, Run, list_runs
from burr_lightning.conditions import plateau
from burr_lightning.conditions.replayed import first_stop
from burr_lightning.errors import ArgumentError, HistoryError, UnknownMetricError
from burr_lightning.recording import Recording
from burr_lightning.runs import find_run
from burr_lightning.stopping import recordings
from burr_lightning.testing import ScriptedModule, scripted_loader

INF = math.inf


def logged_at(recording: Recording, metric: str) -> list[tuple[int, float]]:
    """The numbers of the checks at which a metric was logged, and its values."""
    series = recording.series[metric]
    return list(zip(np.asarray(series.at).tolist(), series.values, strict=True))


def checks_of(recording: Recording) -> list[tuple[int, bool]]:
    return list(zip(recording.epochs.tolist(), recording.ends_epoch.tolist(), strict=True))


def test_a_list_of_dicts_is_one_history_whose_missing_keys_were_not_logged() -> None:
    rows = [{"val_loss": 0.9, "val_acc": 0.1}, {"val_acc": None}, {"val_loss": math.nan}, {"val_loss": -INF}]
    [recording] = recordings(rows, "val_loss", ["val_acc"])
    assert checks_of(recording) == [(0, True), (1, True), (2, True), (3, True)]
    assert logged_at(recording, "val_loss") == [(0, 0.9), (2, NAN), (3, -INF)]
    assert logged_at(recording, "val_acc") == [(0, 0.1)]
    assert (recording.steps, recording.seconds, recording.directions) == (None, None, {})
    assert recording.name == "history 0"


def test_values_may_be_numbers_of_any_kind() -> None:
    rows = [{"loss": np.float32(0.5)}, {"loss": torch.tensor(0.25)}, {"loss": 1}, {"loss": np.array(2.0)}]
    [recording] = recordings(deque(rows), "loss")
    assert recording.series["loss"].values == [0.5, 0.25, 1.0, 2.0]
    assert {type(value) for value in recording.series["loss"].values} == {float}


ROWS: list[dict[str, Any]] = [
    {"epoch": 0, "step": 2, "seconds": 1.0, "train_loss": 9.0},
    {"epoch": 0, "step": 4, "seconds": 2.0, "train_loss": 8.0},
    {"epoch": 0, "step": 4, "seconds": 2.5, "val_loss": 0.9},
    {"epoch": 0, "step": 6, "seconds": 3.0, "train_loss": 7.0},
    {"epoch": 0, "step": 8, "seconds": 4.0, "val_loss": 0.8},
    {"epoch": 0, "step": 8, "seconds": 4.5, "train_mean": 7.5},
    {"epoch": 1, "step": 10, "seconds": 5.0, "train_loss": 6.0},
    {"epoch": 1, "step": 12, "seconds": 6.0, "val_loss": 0.7},
    {"epoch": 1, "step": 16, "seconds": 8.0, "train_mean": 5.5},
    {"epoch": 3, "step": 24, "seconds": 9.0, "train_loss": 4.0},
]
NAMES = ["train_loss", "train_mean"]


def as_columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


@pytest.mark.parametrize(
    "history",
    [
        ROWS,
        as_columns(ROWS),
        pandas.DataFrame(ROWS),
        pandas.DataFrame(ROWS).convert_dtypes(),
        pandas.DataFrame(ROWS).set_index("epoch"),
        pandas.DataFrame(ROWS).set_index(["epoch", "step"]),
        pandas.DataFrame(ROWS).set_index(["epoch", "train_loss"], drop=False).rename_axis(["epoch", "other"]),
        pandas.DataFrame(ROWS).astype(object),
    ],
    ids=["rows", "columns", "frame", "nullable", "indexed", "two levels", "other level", "objects"],
)
def test_what_was_logged_between_two_checks_enters_at_the_second(history: Any) -> None:
    [recording] = recordings(history, "val_loss", NAMES)
    assert checks_of(recording) == [(0, False), (0, True), (1, False), (1, True), (3, True)]
    assert logged_at(recording, "val_loss") == [(0, 0.9), (1, 0.8), (2, 0.7)]
    assert logged_at(recording, "train_loss") == [(0, 8.0), (1, 7.0), (2, 6.0), (4, 4.0)]
    assert logged_at(recording, "train_mean") == [(1, 7.5), (3, 5.5)]
    assert recording.steps is not None
    assert recording.steps.tolist() == [4, 8, 12, 16, 24]
    assert recording.seconds is not None
    assert recording.seconds.tolist() == [2.5, 4.5, 6.0, 8.0, 9.0]


def test_without_steps_the_last_validation_of_an_epoch_is_at_its_end() -> None:
    rows = [{"epoch": 0, "val_loss": 0.9}, {"epoch": 0, "val_loss": 0.8}, {"epoch": 0, "train_loss": 3.0}]
    [recording] = recordings(rows, "val_loss", ["train_loss"])
    assert checks_of(recording) == [(0, False), (0, True)]
    assert logged_at(recording, "val_loss") == [(0, 0.9), (1, 0.8)]
    assert logged_at(recording, "train_loss") == [(1, 3.0)]


def test_a_row_that_says_no_epoch_belongs_to_the_next_one_that_does() -> None:
    first, second = {"epoch": 0, "loss": 0.9}, {"epoch": 1, "loss": 0.8}
    rows: list[dict[str, float]] = [{"rate": 4}, first, {"rate": 3}, {"rate": 2}, second, {"rate": 1}]
    [recording] = recordings(rows, "loss", ["rate"])
    assert checks_of(recording) == [(0, True), (1, True)]
    assert logged_at(recording, "rate") == [(0, 4.0), (1, 1.0)]
    [unfinished] = recordings(rows[:5], "loss", ["rate"])
    assert logged_at(unfinished, "rate") == [(0, 4.0), (1, 2.0)]


def test_nan_is_a_value_in_a_column_and_none_in_a_data_frame() -> None:
    column = {"loss": np.array([0.5, math.nan, 0.25])}
    assert logged_at(*recordings(column, "loss"), "loss") == [(0, 0.5), (1, NAN), (2, 0.25)]
    frame = pandas.DataFrame(column)
    assert logged_at(*recordings(frame, "loss"), "loss") == [(0, 0.5), (2, 0.25)]
    assert len(recordings(frame, "loss")[0]) == 3


def test_a_metric_history_keeps_its_own_checks_and_facts() -> None:
    history = MetricHistory().append(0, {"val_loss": 0.9}, ends_epoch=False, step=2, seconds=1.5)
    history = history.append(0, {"train_loss": 3.0}, step=4, seconds=2.5, directions={"val_loss": "min"})
    [recording] = recordings(history, "val_loss", ["train_loss"])
    assert checks_of(recording) == [(0, False), (0, True)]
    assert logged_at(recording, "train_loss") == [(1, 3.0)]
    assert recording.directions == {"val_loss": "min"}
    assert recording.steps is not None
    assert recording.steps.tolist() == [2, 4]


def test_a_recording_is_itself_and_keeps_its_name() -> None:
    given = Recording.of_epochs({"loss": [3.0, 2.0]}, name="mine")
    assert recordings(given, "loss")[0] == given
    assert recordings([given, Recording.of_epochs({"loss": [1.0]})], "loss")[1].name == "history 1"


@pytest.fixture
def train(make_trainer: Any) -> Any:
    def fit(run_id: str, **options: Any) -> BurrCallback:
        burr = BurrCallback(run_id=run_id, monitor="val_loss", **options)
        module = ScriptedModule(val_loss=[0.9, 0.5, 0.7, 0.6, 0.8])
        make_trainer(burr, max_epochs=5).fit(module, scripted_loader(), scripted_loader())
        return burr

    return fit


def test_runs_are_named_by_their_id_a_beginning_of_it_or_latest(train: Any, tmp_path: Path) -> None:
    train("first-try", project="vision")
    burr = train("second-try", project="vision")
    train("elsewhere", root_dir=tmp_path / "other")
    several = recordings(
        ["first", "second-try", "latest", Run.open("first-try")], "val_loss", project="vision"
    )
    assert [run.name for run in several] == ["first-try", "second-try", "second-try (2)", "first-try (2)"]
    assert logged_at(several[1], "val_loss") == [(0, 0.9), (1, 0.5), (2, 0.7), (3, 0.6), (4, 0.8)]
    assert first_stop(plateau("val_loss", patience=2), several[0]) == 3
    assert recordings(burr.run, "val_loss")[0].name == "second-try"
    assert [run.name for run in recordings(list_runs(), "val_loss")] == ["second-try", "first-try"]
    [elsewhere] = recordings("latest", "val_loss", root_dir=tmp_path / "other")
    assert elsewhere.name == "elsewhere"


def test_a_path_comes_before_a_run(train: Any) -> None:
    train("both")
    Path("both").mkdir()
    Path("both/metrics.csv").write_text("epoch,val_loss\n0,7\n")
    [recording] = recordings("both", "val_loss")
    assert recording.series["val_loss"].values == [7.0]
    [run] = recordings(find_run("both"), "val_loss")
    assert len(run) == 5


def test_a_name_of_nothing_is_an_error_that_says_what_there_is(train: Any, tmp_path: Path) -> None:
    train("first-try")
    said = (
        r"recordings\('nothing', ...\): No run matches 'nothing' in .*"
        r"Runs there: lightning/first-try\. Nor is there a file or a folder "
    )
    with pytest.raises(HistoryError, match=f"{said}{tmp_path}/nothing"):
        recordings(["first-try", "nothing"], "val_loss")
    train("first-bite")
    with pytest.raises(HistoryError, match="'first' may mean lightning/first-bite, lightning/first-try"):
        recordings("first", "val_loss")


def test_a_run_whose_rows_cannot_be_read_is_an_error(train: Any) -> None:
    burr = train("torn", root_dir="kept")
    database = next(Path("kept").glob("state.sqlite"))
    for path in Path("kept").glob("state.sqlite*"):
        path.unlink()
    database.write_bytes(b"no database" * 1000)
    [run] = list_runs(root_dir="kept")
    assert burr.run_id == run.run_id
    with pytest.raises(HistoryError, match=r"recordings\('torn', ...\): the rows of this run cannot be read"):
        recordings(run, "val_loss")


def test_the_folder_of_a_run_is_no_log(train: Any) -> None:
    run = train("mine").run
    with pytest.raises(HistoryError, match="It is the folder of a run: give the run's id, 'mine'"):
        recordings(run.folder, "val_loss")


def test_a_dict_names_histories_and_its_columns_make_one() -> None:
    rows, columns = [{"loss": 3.0}, {"loss": 2.0}], {"loss": [3.0, 2.0], "acc": (0, 1)}
    own = Recording.of_epochs({"loss": [3.0, 2.0]}, name="unnamed")
    named = recordings({"rows": rows, "frame": pandas.DataFrame(rows), 0.1: columns, "own": own}, "loss")
    assert [history.name for history in named] == ["rows", "frame", "0.1", "own"]
    assert [logged_at(history, "loss") for history in named] == [[(0, 3.0), (1, 2.0)]] * 4
    [alone] = recordings(columns, "loss")
    assert (alone.name, logged_at(alone, "loss")) == ("history 0", [(0, 3.0), (1, 2.0)])


def test_a_list_holds_histories_of_different_kinds() -> None:
    rows = [{"loss": 3.0}, {"loss": 2.0}]
    given = [rows, rows, {"loss": [1.0]}, pandas.DataFrame(rows), MetricHistory().append(0, {"loss": 4})]
    several = recordings(given, "loss")
    assert [history.name for history in several] == [f"history {number}" for number in range(5)]
    assert [len(history) for history in several] == [2, 2, 1, 2, 1]
    assert len(recordings((history for history in several), "loss")) == 5


def test_logs_of_the_same_name_are_told_apart_by_the_folders_around_them(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "version_0", tmp_path / "b" / "version_0", tmp_path / "b" / "version_1"]
    for path in paths:
        path.mkdir(parents=True)
        (path / "metrics.csv").write_text("epoch,loss\n0,1\n")
    again = [*paths, paths[0] / "metrics.csv"]
    names = [recording.name for recording in recordings(again, "loss")]
    assert names == ["a/version_0", "b/version_0", "version_1", "a/version_0 (2)"]
    named = recordings({"one": paths[0], "two": paths[1]}, "loss")
    assert [recording.name for recording in named] == ["one", "two"]


UNKNOWN: list[tuple[Any, list[str]]] = [
    ([{"val_loss": 0.5, "epoch": 0, "none": None}], ["val_loss"]),
    ({"val_loss": [0.5], "step": [1], "none": [None]}, ["val_loss"]),
    (pandas.DataFrame({"val_loss": [0.5], "seconds": [1.0], "none": [None]}), ["val_loss"]),
    (MetricHistory().append(0, {"val_loss": 0.5}), ["val_loss"]),
    (MetricHistory(), []),
    (Recording.of_epochs({"val_loss": [0.5]}), ["val_loss"]),
]


@pytest.mark.parametrize(("history", "available"), UNKNOWN)
def test_a_metric_that_a_history_lacks_is_an_error_that_names_both(
    history: Any, available: list[str]
) -> None:
    with pytest.raises(UnknownMetricError, match=r"recordings\(history 0, monitor='none'\) needs") as raised:
        recordings(history, "none")
    assert raised.value.available == available


def test_every_metric_must_be_in_every_history() -> None:
    both = {"a": [{"val_loss": 1.0, "acc": 1.0}], "b": [{"val_loss": 1.0}]}
    with pytest.raises(
        UnknownMetricError, match=r"recordings\('b', metrics=\['acc'\]\) needs the metric 'acc'"
    ):
        recordings(both, "val_loss", ["acc"])


@pytest.mark.parametrize(
    ("history", "error", "message"),
    [
        ({"run1": [0.9, 0.5]}, UnknownMetricError, r"for several, write {'run1': {'loss': \[...\]}, ...}\)"),
        ({"a": [0.9], "b": [1, 2]}, HistoryError, r"If these are several .* {'a': {'loss': \[...\]}, ...}"),
        ([0.9, 0.5], ArgumentError, r"not float: 0.9. Numbers alone .* write {'loss': \[...\]}\."),
        ([[0.9, 0.5], [0.8]], ArgumentError, r"not list: .* write {'loss': \[...\]}\."),
        ([], ArgumentError, r"recordings\(\[\], ...\): give a history"),
        ({}, ArgumentError, r"recordings\({}, ...\): give a history"),
        (0.5, ArgumentError, r"recordings\(0.5, ...\): give a history"),
        ({"epoch": 0, "loss": 0.5}, ArgumentError, r"'epoch' must be .* put the rows into a list"),
        ([[{"loss": 0.5}], 0.5], ArgumentError, r"history 1 must be .*, not float: 0.5"),
        ({"a": []}, UnknownMetricError, "needs the metric 'loss'"),
        ([{"loss": 0.5}, 7], HistoryError, "every row must be a dict, and one is 7"),
        ([{"loss": "low"}, {"loss": 1}], HistoryError, "'loss' must be numbers or None: .*'low'"),
        ([{"loss": [1, 2]}, {"loss": 3, "epoch": 1}], ArgumentError, "history 1 must be .* into a list"),
        ({"loss": [1.0, 2.0], "epoch": [0]}, HistoryError, "different lengths: {'loss': 2, 'epoch': 1}"),
        ({"loss": np.ones((2, 2))}, HistoryError, "'loss' must be one number in each row"),
        (pandas.DataFrame({"loss": ["low", "high"]}), HistoryError, "'loss' must be numbers or None"),
        ([{"loss": 1, "epoch": 1}, {"loss": 1, "epoch": 0}], HistoryError, "goes back from epoch 1 to 0"),
        (
            [{"loss": 1, "epoch": 0.5}],
            HistoryError,
            "an epoch is a whole number, 0 for .*; row 0 says 0.5",
        ),
        ([{"loss": 1, "epoch": INF}], HistoryError, "row 0 says inf"),
    ],
)
def test_what_is_no_history_is_an_error(history: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        recordings(history, "loss")


def fastest(histories: Any) -> float:
    """The shorter time of two that reading takes the processor, which others may be using, too."""
    times = []
    for _ in range(2):
        began = time.thread_time()
        assert len(recordings(histories, "val_loss", ["val_acc"])) == len(histories)
        times.append(time.thread_time() - began)
    return min(times)


def test_a_thousand_histories_take_no_longer_each_than_a_hundred() -> None:
    values = np.random.default_rng(0).random((1000, 2)).tolist()
    rows = [{"epoch": epoch, "val_loss": loss, "val_acc": acc} for epoch, (loss, acc) in enumerate(values)]
    lists = [[dict(row) for row in rows] for _ in range(1000)]
    frames = [pandas.DataFrame(rows) for _ in range(1000)]
    for histories in (lists, frames):
        assert fastest(histories) < 30 * fastest(histories[:100])
