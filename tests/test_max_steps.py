"""`max_steps`, which may end a run in the middle of an epoch, and a resume with a larger one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from looks import NAN, CountsBatches, walked

from burr_lightning import BurrCallback
from burr_lightning.testing import scripted_loader


def fit(
    make_trainer: Any, run_id: str, validation: Any, **options: Any
) -> tuple[BurrCallback, CountsBatches]:
    burr = BurrCallback(run_id=run_id, monitor="loss")
    module = CountsBatches(loss=[0.9, 0.5, 0.7, 0.8])
    make_trainer(burr, **options).fit(module, scripted_loader(4), validation)
    return burr, module


VALIDATION = pytest.mark.parametrize(
    "validation", [None, scripted_loader(2)], ids=["no validation", "validation"]
)


@VALIDATION
def test_max_steps_ends_a_run_in_the_middle_of_an_epoch(make_trainer: Any, validation: Any) -> None:
    burr, module = fit(make_trainer, "six", validation, max_steps=6)

    # Lightning does not validate an epoch that max_steps cuts short.
    path = ["train_epoch"] if validation is None else ["train_epoch", "validate"]
    assert walked(burr) == ["process_data", *path, "train_epoch", "best_model"]
    assert module.seen == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    assert list(burr.history["loss"]) == [0.9, 0.5 if validation is None else NAN]
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 6)
    assert (burr.state["finished"], burr.state["stop_reason"]) == (True, "max_steps=6 was reached")
    assert burr.state["checkpoint"]["epoch"] == 1
    assert burr.run.status == "finished"


@VALIDATION
@pytest.mark.parametrize("first", [4, 8])
def test_a_larger_max_steps_goes_on_as_if_it_had_been_given_at_once(
    make_trainer: Any, validation: Any, first: int
) -> None:
    whole, trained_at_once = fit(make_trainer, "whole", validation, max_steps=10)
    _, before = fit(make_trainer, "parts", validation, max_steps=first)
    parts, after = fit(make_trainer, "parts", validation, max_steps=10)

    assert before.seen + after.seen == trained_at_once.seen
    assert (parts.state["epoch"], parts.state["global_step"]) == (2, 10)
    assert parts.history == whole.history
    assert parts.state["stop_reason"] == whole.state["stop_reason"] == "max_steps=10 was reached"
    assert torch.equal(after.layer.weight, trained_at_once.layer.weight)
    assert parts.run.status == "finished"


@VALIDATION
def test_after_a_stop_in_the_middle_of_an_epoch_the_next_epoch_begins(
    make_trainer: Any, validation: Any
) -> None:
    fit(make_trainer, "parts", validation, max_steps=6)
    burr, module = fit(make_trainer, "parts", validation, max_steps=12)

    assert module.seen == [(2, 0), (2, 1), (2, 2), (2, 3), (3, 0), (3, 1)]
    assert (burr.state["epoch"], burr.state["global_step"]) == (3, 12)
    assert len(burr.history) == 4
    assert burr.state["stop_reason"] == "max_steps=12 was reached"
    assert walked(burr)[-1] == "best_model"
    assert burr.run.status == "finished"


@VALIDATION
def test_a_run_that_reached_max_steps_is_not_trained_again(make_trainer: Any, validation: Any) -> None:
    before, _ = fit(make_trainer, "six", validation, max_steps=6)
    steps = walked(before)
    burr, module = fit(make_trainer, "six", validation, max_steps=6)

    assert module.seen == []
    assert walked(burr) == steps
    assert (burr.state["epoch"], burr.state["global_step"]) == (1, 6)
    assert burr.state["stop_reason"] == "max_steps=6 was reached"
    assert burr.run.status == "finished"


@VALIDATION
def test_max_epochs_instead_of_max_steps_goes_on_with_the_next_epoch(
    make_trainer: Any, validation: Any
) -> None:
    fit(make_trainer, "parts", validation, max_steps=6)
    burr, module = fit(make_trainer, "parts", validation, max_epochs=3)

    assert module.seen == [(2, 0), (2, 1), (2, 2), (2, 3)]
    assert (burr.state["epoch"], burr.state["global_step"]) == (2, 10)
    assert burr.state["stop_reason"] == "max_epochs=3 was reached"
    assert burr.run.status == "finished"
