"""A run that was interrupted, in whichever epoch, ends as if nothing had happened."""

import pytest
from exact_cases import CASES
from exactness import differences, in_a_process, interrupted_in, run


@pytest.mark.parametrize("name", CASES)
def test_a_run_interrupted_in_any_epoch_ends_as_the_uninterrupted_one(name):
    case = CASES[name]
    whole = in_a_process(lambda: run(case, "whole"))
    notes = whole["batches"].values()
    assert len({str(note["rates"]) for note in notes}) > 1 or not case.schedules
    found = {}
    for epoch in range(1 + max(note["epoch"] for note in notes)):
        resumed = interrupted_in(case, epoch, f"interrupted-in-{epoch}")
        found[f"interrupted in epoch {epoch}"] = differences(whole, resumed)
    assert {when: what for when, what in found.items() if what} == {}
