"""A run that was interrupted, in whichever epoch, ends as if nothing had happened."""

from functools import partial

import pytest
from exact_cases import CASES
from exactness import Forked, differences, interrupted_and_resumed, run


def told(found):
    """What differs, for reading."""
    return "\n".join(
        f"\ninterrupted in epoch {epoch}:\n    " + "\n    ".join(what)
        for epoch, what in found.items()
        if what
    )


@pytest.mark.parametrize("name", CASES)
def test_a_run_interrupted_in_any_epoch_ends_as_the_uninterrupted_one(name):
    case = CASES[name]
    resumed = {
        epoch: Forked(partial(interrupted_and_resumed, case, epoch, f"interrupted-in-{epoch}"))
        for epoch in range(case.epochs)
    }
    whole = Forked(partial(run, case, "whole")).result()
    assert isinstance(whole, dict), whole
    notes = whole["batches"].values()
    assert {note["epoch"] for note in notes} == set(resumed)
    assert len({str(note["rates"]) for note in notes}) > 1 or not case.schedules
    found = {epoch: differences(whole, other.result()) for epoch, other in resumed.items()}
    if any(found.values()):
        pytest.fail(told(found), pytrace=False)
