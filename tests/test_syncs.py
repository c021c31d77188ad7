"""A batch waits for the device as often with the callback as without, and a boundary once for all values."""

import math
import struct
from collections import Counter

import pytest
import syncs
import torch

from burr_lightning import Checkpoints
from burr_lightning.reports import as_numbers

ACCELERATORS = ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_a_batch_waits_no_oftener_with_the_callback_and_an_epoch_once_for_all_values(tmp_path, accelerator):
    asynchronous = Checkpoints(asynchronous=True)
    ours = syncs.by_batch_and_epoch(lambda: [syncs.burr(tmp_path, checkpoints=asynchronous)], accelerator)
    without = syncs.by_batch_and_epoch(list, accelerator)
    assert ours[0] == without[0]
    # Values of two types, at the boundary before a validation and at the end of the epoch.
    assert (ours[1] - without[1])["Tensor.tolist"] == 4
    assert (ours[1] - without[1])["Tensor.item"] == 0


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_what_waits_is_counted(tmp_path, accelerator):
    class Asks(syncs.Listener):
        def post_stream_item(self, *, item, **future_kwargs):
            if item.get("outputs") is not None:
                float(item["outputs"]["preds"].sum())

    callbacks = [syncs.burr(tmp_path, hooks=[Asks()])]
    counts = syncs.waits(lambda: syncs.fit(callbacks, 3, 1, accelerator))
    batches = 3 + 3  # of training and of validation
    assert counts["Tensor.__float__"] == batches
    assert counts["aten::_local_scalar_dense"] >= batches


TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8]


def test_values_read_together_are_those_that_are_read_one_by_one():
    logged = {"python": 0.1, "whole": 2**60 + 1, "yes": torch.tensor(True), "one": torch.tensor([0.1])}
    for dtype in TYPES:
        drawn = torch.randn(20, dtype=torch.float64).mul(100).abs().to(dtype)
        logged |= {f"{dtype} {index}": value for index, value in enumerate(drawn)}
    odd = [math.nan, -math.nan, math.inf, -math.inf, -0.0, 1e-45, 16777217.0]
    logged |= {f"odd {value}": torch.tensor(value) for value in odd}
    logged |= {"large": torch.tensor(2**62 + 1), "with its graph": torch.tensor(0.3, requires_grad=True) * 1}
    numbers = as_numbers(logged)
    assert list(numbers) == list(logged)
    for name, value in logged.items():
        alone = value.item() if isinstance(value, torch.Tensor) else value
        assert struct.pack("d", numbers[name]) == struct.pack("d", float(alone)), name


@pytest.mark.gpu
def test_values_of_several_devices_are_told_apart():
    assert as_numbers({"a": torch.tensor(0.1), "b": torch.tensor(0.1, device="cuda"), "c": 3}) == {
        "a": torch.tensor(0.1).item(),
        "b": torch.tensor(0.1).item(),
        "c": 3.0,
    }
    counts = syncs.waits(
        lambda: as_numbers({str(i): torch.tensor(float(i), device="cuda") for i in range(9)})
    )
    assert Counter(counts)["Memcpy DtoH"] == 1
