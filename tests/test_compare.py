"""Two checkpoints are compared to the last bit, and the first difference is named."""

import math
import pickle

import numpy as np
import pytest
import torch

from burr_lightning.replay.compare import compare, load

NAN = math.nan


class Settings:
    """Stands for a class of a user's script."""

    def __init__(self, rate):
        self.rate = rate
        self.itself = self

    def __repr__(self):
        return f"Settings({self.rate})"


def differences(one, other, ignored=()):
    return [str(difference) for difference in compare({"it": one}, {"it": other}, ignored).differences]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ([1.0, 2.0, 4.0], [1.0, 2.5, 4.0], "it [3]: 1 of 3 elements, largest 0.5 (relative 0.25)"),
        ([0.0], [-0.0], "it [1]: 1 of 1 elements, largest 0 (relative 0)"),
        ([0.0, 1.0], [0.1, 1.0], "it [2]: 1 of 2 elements, largest 0.1 (relative inf)"),
        ([NAN, 1.0], [0.0, 1.0], "it [2]: 1 of 2 elements, largest nan (relative nan)"),
        ([[1, 2], [3, 4]], [[1, 2], [3, 7]], "it [2, 2]: 1 of 4 elements, largest 3 (relative 0.75)"),
        ([True, False], [True, True], "it [2]: 1 of 2 elements, largest 1 (relative inf)"),
        ([1j, 2j], [1j, 1 + 2j], "it [2]: 1 of 2 elements, largest 1 (relative 0.5)"),
    ],
)
def test_what_differs_between_two_tensors(one, other, said):
    assert differences(torch.tensor(one), torch.tensor(other)) == [said]


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([NAN, math.inf, -0.0]),
        torch.tensor(3.5, dtype=torch.bfloat16),
        torch.empty(0, 4),
        torch.eye(3).to_sparse(),
        torch.arange(12).reshape(3, 4).t(),
        np.array([NAN, 1.0]),
        np.float32(2.5),
        (0.9, 0.999),
        [NAN, 2, True],
        NAN,
        None,
        "text",
        Settings(0.1),
    ],
    ids=repr,
)
def test_the_same_is_equal_whatever_it_is(value):
    copied = pickle.loads(pickle.dumps(value))
    assert differences([value], [copied]) == []


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (torch.zeros(2), torch.zeros(3), "a tensor of float32 [2] in the run, a tensor of float32 [3] in"),
        (
            torch.zeros(1),
            torch.zeros(1).double(),
            "a tensor of float32 [1] in the run, a tensor of float64 [1]",
        ),
        (torch.zeros(1), 0.0, "a tensor of float32 [1] in the run, 0.0 in the replay"),
        (1, 1.0, "1 in the run, 1.0 in the replay"),
        ([1, 2, 3], [1, 2, 4], "[3]: 1 of 3 elements, largest 1"),
        ([1, 2], [1, 2, 4], "[1, 2] in the run, [1, 2, 4] in the replay"),
        (np.zeros(3), np.ones(3), "array([0., 0., 0.]) in the run, array([1., 1., 1.]) in the replay"),
        (list(range(90)), None, "a list of 90 in the run, None in the replay"),
        ("a" * 90, "b", f"'{'a' * 59}… in the run, 'b' in the replay"),
    ],
)
def test_other_differences_in_words(one, other, said):
    (found,) = differences(one, other)
    assert found.startswith("it")
    assert said in found


def test_what_is_only_in_one_of_them_is_named():
    assert differences({"a": 1}, {"a": 1, "b": 2}) == ["it.b: nothing in the run, 2 in the replay"]
    assert differences([{"a": 1}], []) == ["it[0]: {'a': 1} in the run, nothing in the replay"]
    assert differences(Settings(0.1), Settings(0.2)) == ["it.rate: 0.1 in the run, 0.2 in the replay"]


def test_weights_come_first_and_generators_last():
    names = ["burr_lightning", "epoch", "lr_schedulers", "optimizer_states", "state_dict"]
    one = {name: {"x": torch.zeros(1)} for name in names}
    other = {name: {"x": torch.ones(1)} for name in names}
    found = compare(one, other)
    assert [difference.name for difference in found.differences] == [
        *("x", "optimizer_states.x", "lr_schedulers.x", "epoch.x", "burr_lightning.x")
    ]
    assert (found.tensors, found.values, found.exact) == (5, 0, False)


def test_what_is_ignored_is_left_out_with_all_inside_and_listed():
    one = {"callbacks": {"Timer": {"a": 1, "b": 2}, "Timers": 3}, "pytorch-lightning_version": "2.6"}
    other = {"callbacks": {"Timer": {"a": 0}, "Timers": 4}, "pytorch-lightning_version": "2.7"}
    found = compare(one, other, ["callbacks.Timer", "never.there"])
    assert [difference.name for difference in found.differences] == ["callbacks.Timers"]
    assert found.ignored == ("callbacks.Timer",)


def test_a_checkpoint_with_a_class_that_cannot_be_imported_is_compared_by_what_it_holds(
    tmp_path, monkeypatch
):
    for name, rate in [("one", 0.1), ("other", 0.2)]:
        torch.save({"state_dict": {"w": torch.ones(2)}, "hparams": Settings(rate)}, tmp_path / name)
    monkeypatch.delitem(globals(), "Settings")
    one, same, other = load(tmp_path / "one"), load(tmp_path / "one"), load(tmp_path / "other")
    assert compare(one, same).exact
    (difference,) = compare(one, other).differences
    assert (difference.original, difference.replayed) == ("0.1", "0.2")
    assert difference.name.startswith("hparams.")


def test_nothing_is_left_out_of_many_short_lists():
    def lists(first):
        return {"lists": [(number, [number]) for number in range(first, first + 500)]}

    found = compare(lists(0), lists(1))
    assert (len(found.differences), found.values) == (1000, 1000)
