import copy
import json
import math
import pickle

import numpy as np
import pytest

from burr_lightning.errors import UnknownMetricError
from burr_lightning.history import MetricHistory
from burr_lightning.metric import MonitoredMetric


def history_of(*losses, name="val_loss"):
    history = MetricHistory()
    for epoch, loss in enumerate(losses):
        history = history.append(epoch, {name: loss})
    return history


def test_appending_leaves_the_old_history_as_it_was():
    one = history_of(0.9)
    two = one.append(1, {"val_loss": 0.7, "val_acc": 0.5})
    assert list(one["val_loss"]) == [0.9]
    assert one.names == ["val_loss"]
    assert "val_acc" not in one
    assert list(two["val_loss"]) == [0.9, 0.7]


def test_appending_to_an_old_history_does_not_touch_the_newer_one():
    one = history_of(0.9)
    two = one.append(1, {"val_loss": 0.7})
    other = one.append(1, {"val_loss": 0.1})
    assert list(two["val_loss"]) == [0.9, 0.7]
    assert list(other["val_loss"]) == [0.9, 0.1]
    assert not other.extends(two)
    assert two.extends(one)


def test_columns_are_aligned_with_epochs():
    history = MetricHistory().append(0, {"a": 1.0}).append(1, {"b": 2.0}).append(3, {"a": 4.0})
    assert len(history) == 4
    assert [str(value) for value in history["a"]] == ["1.0", "nan", "nan", "4.0"]
    assert [str(value) for value in history["b"]] == ["nan", "2.0", "nan", "nan"]
    assert history["a"][-1] == 4.0
    assert history["a"][2:][1] == 4.0
    with pytest.raises(IndexError, match="epoch 4 of a history of 4 epochs"):
        history["a"][4]


def test_checks_inside_an_epoch_count_and_the_epoch_takes_the_last():
    history = MetricHistory()
    for value in (0.9, 0.8):
        history = history.append(0, {"val_loss": value}, ends_epoch=False)
    assert (len(history), list(history["val_loss"])) == (0, [])
    history = history.append(0, {"train_loss": 0.5})
    assert list(history["val_loss"]) == [0.8]
    assert history.progress("val_loss", "min").checks == 2
    assert history.latest("val_loss") == (0, 0.8)


def test_an_epoch_that_is_over_takes_no_more_metrics():
    with pytest.raises(ValueError, match=r"append\(epoch=0\): epoch 1 is already over"):
        history_of(0.9, 0.8).append(0, {})


def test_an_unknown_metric_is_an_error_that_lists_the_known_ones():
    with pytest.raises(UnknownMetricError, match=r"'val_los'.*Metrics logged so far: val_loss") as error:
        history_of(0.9)["val_los"]
    assert error.value.available == ["val_loss"]


@pytest.mark.parametrize(
    ("losses", "min_delta", "best", "best_epoch", "since"),
    [
        ([], 0.0, math.inf, -1, 0),
        ([0.9, 0.5, 0.6], 0.0, 0.5, 1, 1),
        ([0.5, 0.5, 0.5], 0.0, 0.5, 0, 2),
        ([0.9, 0.85, 0.7], 0.1, 0.7, 2, 0),
        ([0.9, 0.85, 0.81], 0.1, 0.9, 0, 2),
        ([math.nan, 0.9, math.nan], 0.0, 0.9, 1, 1),
        ([math.nan, math.nan], 0.0, math.inf, -1, 2),
    ],
)
def test_progress_counts_as_early_stopping_does(losses, min_delta, best, best_epoch, since):
    progress = history_of(*losses).progress("val_loss", "min", min_delta)
    assert (progress.best, progress.best_epoch, progress.checks_since_best) == (best, best_epoch, since)
    rising = history_of(*[-loss for loss in losses]).progress("val_loss", "max", min_delta)
    assert (rising.best, rising.best_epoch, rising.checks_since_best) == (-best, best_epoch, since)


def test_progress_of_an_old_history_does_not_see_what_came_after():
    old = history_of(0.9, 0.8)
    new = old.append(2, {"val_loss": 0.1})
    assert new.progress("val_loss", "min").best == 0.1
    assert old.progress("val_loss", "min").best == 0.8
    assert new.progress("val_loss", "min").best == 0.1


def test_progress_looks_at_each_value_once(monkeypatch):
    looked_at = []
    improves = MonitoredMetric.improves

    def counted(self, value, **options):
        looked_at.append(value)
        return improves(self, value, **options)

    monkeypatch.setattr(MonitoredMetric, "improves", counted)
    history = MetricHistory()
    for epoch in range(50):
        history = history.append(epoch, {"val_loss": float(epoch)})
        history.progress("val_loss", "min")
    assert len(looked_at) == 50


def test_copies_are_the_same_object():
    history = history_of(0.9)
    assert copy.copy(history) is history
    assert copy.deepcopy([history])[0] is history


@pytest.mark.parametrize("through", [pickle.dumps, json.dumps])
def test_it_comes_back_whole_from_its_chunks(through):
    history = MetricHistory()
    history = history.append(0, {"a": 0.1, "b": math.inf}, ends_epoch=False, directions={"a": "max"})
    history = history.append(0, {"c": -math.inf}).append(1, {"a": math.nan})
    if through is pickle.dumps:
        again = pickle.loads(pickle.dumps(history))
    else:
        text = json.dumps([history.chunk(0)], allow_nan=False)
        again = MetricHistory.from_chunks(json.loads(text))
    assert again == history
    assert again.direction("a") == "max"
    assert math.isnan(again["a"][1])
    assert again["b"][0] == math.inf
    assert again["c"][0] == -math.inf


def test_a_chunk_and_the_rest_make_the_whole():
    history = history_of(*[1 / (epoch + 1) for epoch in range(10)])
    assert MetricHistory.from_chunks([history.chunk(0)]) == history
    first = history_of(*[1 / (epoch + 1) for epoch in range(4)])
    assert MetricHistory.from_chunks([first.chunk(0), history.chunk(4)]) == history


def test_it_reads_at_a_glance_and_as_dicts():
    history = MetricHistory().append(0, {"val_loss": 0.51234}).append(1, {"val_loss": 0.4, "acc": 0.9})
    assert repr(history) == "MetricHistory(2 epochs: val_loss=0.4, acc=0.9)"
    assert repr(MetricHistory()) == "MetricHistory(0 epochs)"
    assert history.to_dicts()[1] == {"epoch": 1, "val_loss": 0.4, "acc": 0.9}
    assert repr(history["val_loss"]) == "[0.5123, 0.4]"
    assert list(history) == ["val_loss", "acc"]


def test_a_mode_is_min_or_max():
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', not 'lower'"):
        MonitoredMetric("val_loss", "lower")


def checked_history():
    history = MetricHistory()
    history = history.append(0, {"a": 1.0}, ends_epoch=False, step=5, seconds=0.5)
    history = history.append(0, {"a": 2.0}, step=10, seconds=1.0)
    return history.append(1, {"b": math.nan}, step=20, seconds=2.25)


def test_dicts_hold_what_was_logged_and_when():
    first, second = checked_history().to_dicts()
    assert first == {"epoch": 0, "step": 10, "seconds": 1.0, "a": 2.0}
    assert list(second) == ["epoch", "step", "seconds", "b"]
    assert math.isnan(second["b"])


def test_arrays_and_frames_have_one_value_per_epoch():
    history = checked_history()
    assert str({name: values.tolist() for name, values in history.to_numpy().items()}) == (
        "{'a': [2.0, nan], 'b': [nan, nan]}"
    )
    frame = history.to_pandas()
    assert (list(frame.columns), frame.index.name, frame["a"][0]) == (["a", "b"], "epoch", 2.0)


def test_a_recording_has_every_check_in_columns():
    recording = checked_history().recording("r")
    assert recording.epochs.tolist() == [0, 0, 1]
    assert recording.ends_epoch.tolist() == [False, True, True]
    assert recording.finished_epochs.tolist() == [0, 1, 2]
    assert (recording.steps.tolist(), recording.seconds.tolist()) == ([5, 10, 20], [0.5, 1.0, 2.25])
    assert (list(recording.series["a"].at), recording.series["a"].values) == ([0, 1], [1.0, 2.0])
    assert history_of(0.5).recording().seconds is None


def test_the_clock_does_not_make_two_histories_differ():
    one = MetricHistory().append(0, {"a": 1.0}, step=1, seconds=1.0)
    assert one == MetricHistory().append(0, {"a": 1.0}, step=1, seconds=2.0)
    assert one != MetricHistory().append(0, {"a": 1.0}, step=2, seconds=1.0)
    assert one != MetricHistory().append(0, {"a": 2.0}, step=1, seconds=1.0)


def test_chunks_of_an_older_version_say_no_steps():
    chunk = {"first": 0, "names": ["a"], "checks": [[0, 1, [0.5]]], "directions": {}}
    assert MetricHistory.from_chunks([chunk]) == history_of(0.5, name="a")


def test_latest_looks_back_as_far_as_there_are_checks():
    history = checked_history()
    assert (history.latest("a"), history.latest("a", back=1)) == ((0, 2.0), (0, 1.0))
    with pytest.raises(IndexError, match="it was logged at 2 checks"):
        history.latest("a", back=2)


def test_what_is_appended_to_the_rest_of_a_history_is_in_no_other():
    history = history_of(1.0, 2.0, 3.0)
    rest = history.since(1)
    assert list(rest.append(3, {"val_loss": 99.0})["val_loss"])[1:] == [2.0, 3.0, 99.0]
    assert list(history.append(3, {"val_loss": 4.0}).since(1)["val_loss"])[1:] == [2.0, 3.0, 4.0]


def test_the_rest_of_a_long_history_holds_no_more_than_itself():
    history = history_of(*range(2000))
    rest = history.since(1990)
    assert rest.checks == 10
    assert list(rest["val_loss"][-10:]) == [float(number) for number in range(1990, 2000)]
    assert len(rest._log.columns["val_loss"]) == 10
    assert history.since(1995)["val_loss"][-1] == 1999.0


def test_a_direction_that_changes_later_leaves_older_histories_what_they_knew():
    older = MetricHistory().append(0, {"a": 1.0}, directions={"a": "min"})
    newer = older.append(1, {"a": 2.0}, directions={"a": "max"})
    assert (older.direction("a"), newer.direction("a")) == ("min", "max")


def test_a_check_that_is_told_again_may_tell_its_direction():
    older = MetricHistory()
    older.append(0, {"a": 1.0})
    assert older.append(0, {"a": 1.0}, directions={"a": "max"}).direction("a") == "max"


def test_an_epoch_is_a_whole_number_of_any_kind():
    history = MetricHistory().append(np.int64(0), {"a": 1.0})
    assert history == MetricHistory().append(0, {"a": 1.0})
    assert json.loads(json.dumps(history.chunk(0)))["checks"][0][0] == 0
    with pytest.raises(TypeError):
        history.append(1.5, {"a": 1.0})
    assert history.append(1, {"a": 2.0}).checks == 2


def test_a_history_of_many_metrics_says_that_there_are_more():
    names = [f"m{number}" for number in range(20)]
    assert repr(MetricHistory().append(0, dict.fromkeys(names, 1.0))).endswith("m5=1, ...)")
