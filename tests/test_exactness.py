"""A run that was interrupted, wherever that was, ends as if nothing had happened."""

import signal
from contextlib import suppress
from functools import partial
from itertools import pairwise

import pytest
from exact_data import DATA, Augmented
from exact_parts import Net, digits, loader
from exact_trainings import TRAININGS
from exactness import (
    SEED,
    Case,
    Forked,
    Interrupted,
    InterruptedAt,
    differences,
    interrupted_and_resumed,
    resumed,
    run,
)
from lightning.pytorch import seed_everything

from burr_lightning import BurrCallback

CASES = TRAININGS | DATA


def uninterrupted(case):
    whole = Forked(partial(run, case, "whole")).result()
    if not isinstance(whole, dict):
        pytest.fail(whole, pytrace=False)
    return whole


def refuse_differences(whole, others):
    """Fail with what differs, and with nothing else to read."""
    found = {when: differences(whole, other) for when, other in others.items()}
    told = "\n".join(f"\n{when}:\n    " + "\n    ".join(what) for when, what in found.items() if what)
    if told:
        pytest.fail(told, pytrace=False)


@pytest.mark.parametrize("name", CASES)
def test_a_run_interrupted_in_any_epoch_ends_as_the_uninterrupted_one(name):
    case = CASES[name]
    again = {
        f"interrupted in epoch {epoch}": Forked(
            partial(interrupted_and_resumed, case, epoch, f"interrupted-in-{epoch}")
        )
        for epoch in range(case.epochs)
    }
    whole = uninterrupted(case)
    notes = whole["batches"].values()
    assert {note["epoch"] for note in notes} == set(range(case.epochs))
    assert len({str(note["rates"]) for note in notes}) > 1 or not case.schedules
    scales = [note["scaler"]["scale"] for note in notes] if case.scales else []
    moves = {now > before for before, now in pairwise(scales) if now != before}
    assert moves == ({True, False} if case.scales else set())
    refuse_differences(whole, {when: forked.result() for when, forked in again.items()})


@pytest.mark.parametrize(
    "name",
    ["dropout_and_shuffling", "plateau_lr", "augmentation_in_workers"],
)
def test_a_killed_process_is_gone_on_with_by_another_one(name):
    case = CASES[name]
    killed = {
        epoch: Forked(partial(run, case, f"killed-in-{epoch}", interrupted=InterruptedAt(epoch, "SIGKILL")))
        for epoch in range(case.epochs)
    }
    whole = uninterrupted(case)
    assert [process.ended_with() for process in killed.values()] == [-signal.SIGKILL] * case.epochs
    again = {epoch: Forked(partial(resumed, case, epoch, f"killed-in-{epoch}")) for epoch in killed}
    refuse_differences(
        whole, {f"killed in epoch {epoch}": forked.result() for epoch, forked in again.items()}
    )


HOOKS = [
    *("on_train_start", "on_train_epoch_start", "on_before_optimizer_step", "on_train_batch_end"),
    *("on_validation_start", "on_validation_batch_end", "on_validation_end", "on_train_epoch_end"),
]


def test_it_does_not_matter_at_which_hook_a_run_is_interrupted():
    case = CASES["dropout_and_shuffling"]
    again = {
        f"interrupted in {hook}": Forked(
            partial(
                interrupted_and_resumed, case, 0 if hook == "on_train_start" else 2, hook, hook=hook, nth=1
            )
        )
        for hook in HOOKS
    }
    refuse_differences(uninterrupted(case), {when: forked.result() for when, forked in again.items()})


def test_a_run_interrupted_in_every_epoch_ends_as_the_uninterrupted_one():
    case = CASES["plateau_lr"]

    def again_and_again():
        for epoch in range(case.epochs):
            with suppress(Interrupted):
                run(case, "again", seed=SEED + max(0, epoch - 1), interrupted=InterruptedAt(epoch))
        return run(case, "again", seed=SEED + case.epochs)

    interrupted = Forked(again_and_again)
    refuse_differences(uninterrupted(case), {"interrupted in every epoch": interrupted.result()})


def test_a_run_paused_by_its_limit_ends_as_one_that_had_the_higher_limit_from_the_start():
    case = CASES["plateau_lr"]

    def in_two_parts():
        run(Case(case.write, epochs=2), "parts")
        return run(case, "parts")

    parts = Forked(in_two_parts)
    whole = uninterrupted(case)
    given = parts.result()
    whole.pop("machine path")
    refuse_differences(whole, {"in two parts": given})


@pytest.mark.parametrize(("dataset", "told"), [(Augmented, True), (digits, False)])
def test_workers_that_outlive_an_epoch_are_told_of_where_they_draw(dataset, told, make_trainer, caplog):
    seed_everything(1)
    train = loader(dataset(), num_workers=1, persistent_workers=True)
    make_trainer(BurrCallback(run_id="a"), max_epochs=1).fit(Net(), train)
    assert ("persistent_workers=True" in caplog.text) == told
