"""Generators of CUDA devices: where they are put back, and what is said where the devices are others."""

import pytest
import torch
from digits import DigitNet, digit_loaders
from exactness import Forked

from burr_lightning import BurrCallback, Run
from burr_lightning.commits.rng import cuda_devices, cuda_states, rng_state, set_rng_state

A, B, C = (torch.full((16,), value, dtype=torch.uint8) for value in (4, 8, 12))


def test_where_cuda_is_not_in_use_nothing_is_kept_of_it_and_it_is_not_started():
    def asked():
        state = rng_state()
        return state["cuda"], state["cuda_device"], cuda_devices(), torch.cuda.is_initialized()

    assert Forked(asked).result() == ([], None, 0, False)


def test_a_state_with_cuda_devices_is_put_back_without_them():
    def put_back():
        state = rng_state()
        drawn = torch.rand(3)
        set_rng_state({**state, "cuda": [A, B], "cuda_device": 0})
        return torch.equal(torch.rand(3), drawn)

    assert Forked(put_back).result() is True


@pytest.mark.parametrize(
    ("kept", "then", "devices", "now", "put_back"),
    [
        ([A, B], 0, 2, 0, {0: A, 1: B}),
        ([A, B, C], 2, 1, 0, {0: C}),
        ([A], 0, 3, 1, {0: A, 1: A}),
        ([A, B], 0, 2, 1, {0: A, 1: A}),
        ([], None, 2, 0, {}),
    ],
    ids=["the same", "fewer devices", "more devices", "another one trains", "none before"],
)
def test_the_generator_of_the_device_that_trained_goes_to_the_one_that_trains(
    kept, then, devices, now, put_back
):
    found = cuda_states({"cuda": kept, "cuda_device": then}, devices, now)
    assert found.keys() == put_back.keys()
    assert all(torch.equal(found[index], put_back[index]) for index in found)


def test_a_commit_from_before_it_was_kept_which_device_trains_is_put_back_by_number():
    assert cuda_states({"cuda": [A, B]}, 1, 0) == {0: A}


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ([A], 0, "was trained with 1 CUDA device and goes on without CUDA: from here on it draws other"),
        ([], 2, "was trained without CUDA and goes on with 2 CUDA devices: from here on it draws other"),
        (
            [A, B],
            1,
            "was trained with 2 CUDA devices and goes on with 1 CUDA device: what the one that trains",
        ),
        ([], 0, None),
    ],
    ids=["to the CPU", "to CUDA", "to fewer", "the same"],
)
def test_other_devices_than_before_are_told_of_and_the_run_goes_on(
    make_trainer, monkeypatch, caplog, then, now, said
):
    """The devices are made up, the training is not."""
    with monkeypatch.context() as before:
        device = 0 if then else None
        before.setattr(
            "burr_lightning.training_state.rng_state",
            lambda: {**rng_state(), "cuda": then, "cuda_device": device},
        )
        make_trainer(BurrCallback("a"), max_epochs=1).fit(DigitNet(), *digit_loaders(64))
    monkeypatch.setattr("burr_lightning.going_on.cuda_devices", lambda: now)
    caplog.clear()
    make_trainer(BurrCallback("a"), max_epochs=2).fit(DigitNet(), *digit_loaders(64))
    assert Run.open("a").epoch == 1
    assert "CUDA" not in caplog.text if said is None else caplog.text.count(said) == 1
