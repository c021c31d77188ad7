"""A fork goes on from an epoch of another run: exactly as that did where nothing is changed."""

import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count

import pytest
from exact_machines import MACHINES
from exact_trainings import TRAININGS
from exactness import SEED, Forked, Interrupted, InterruptedAt, run
from test_exactness import refuse_differences, uninterrupted
from test_pausing_exact import die_at

from burr_lightning import Checkpoints, Run
from burr_lightning.layout import RunFolder, home

CASES = {**TRAININGS, **MACHINES}
CHOSEN = [
    *("dropout_and_shuffling", "plateau_lr", "one_cycle_lr_by_step", "two_optimizers_by_hand"),
    *("stochastic_weight_averaging", "exponential_weight_averaging", "rolled_back", "frozen_and_unfrozen"),
    *(
        "rolled_back_to_other_groups",
        "learning_rate_set",
        "swapped",
        "finetuned_in_stages",
        "recovers_from_divergence",
        "restarted",
    ),
    *("staged_by_methods", "changed_hparams", "reviewed"),
]


def keeps_all(case):
    """The same script, but that it keeps the checkpoints of all epochs."""

    def write():
        script = case.write()
        kept = script.burr.get("checkpoints", Checkpoints())
        script.burr["checkpoints"] = replace(kept, keep_last=99)
        return script

    return replace(case, write=write)


def forked(parent, epoch, run_id, case, hparams=None, **options):
    """Fork a run, and train the fork to its end: with another seed, for its numbers come from the commit."""
    fork = Run.open(parent).fork(epoch, run_id, hparams)
    assert fork.history.to_dicts() == Run.open(parent).history.to_dicts()[: epoch + 1]
    shutil.copy(f"{parent}.notes", f"{run_id}.notes")
    return run(case, run_id, seed=SEED + (not case.draws_its_data), **options)


def differs_in_nothing_but_the_beginning(whole, fork):
    """The same, where the path of a fork is what it went itself."""
    if not isinstance(fork, dict):
        return fork
    own = fork["machine path"]
    assert own == whole["machine path"][len(whole["machine path"]) - len(own) :]
    return {**fork, "machine path": whole["machine path"]}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_fork_with_nothing_changed_ends_as_its_parent(name):
    case = keeps_all(CASES[name])
    whole = uninterrupted(case)
    epochs = Run.open("whole").forkable
    chosen = {epochs[len(epochs) // 3], epochs[-2]}
    forks = {epoch: Forked(partial(forked, "whole", epoch, f"fork-{epoch}", case)) for epoch in chosen}
    results = {
        f"forked after epoch {epoch}": differs_in_nothing_but_the_beginning(whole, fork.result())
        for epoch, fork in forks.items()
    }
    refuse_differences(whole, results)


def parent(case):
    whole = Forked(partial(run, case, "whole")).result()
    assert isinstance(whole, dict), whole
    return whole


def fork_and_die(point, run_id):
    die_at(point, run_id, begins_with="checkpoints")
    Run.open("whole").fork(1, run_id)


def test_a_fork_that_is_killed_anywhere_while_it_is_made_can_be_made_again():
    case = keeps_all(CASES["dropout_and_shuffling"])
    whole = parent(case)
    ends, code, points = {}, -signal.SIGKILL, count(1)
    while code == -signal.SIGKILL:
        run_id = f"fork-{(point := next(points))}"
        code = Forked(partial(fork_and_die, point, run_id)).ended_with()
        if code == -signal.SIGKILL:
            is_run = RunFolder(home(None), "lightning", run_id).info() is not None
            again = partial(trained, run_id, case) if is_run else partial(forked, "whole", 1, run_id, case)
            ends[f"killed at point {point}"] = Forked(again)
    assert code == 0
    assert len(ends) >= 4
    refuse_differences(
        whole,
        {when: differs_in_nothing_but_the_beginning(whole, end.result()) for when, end in ends.items()},
    )


def trained(run_id, case):
    shutil.copy("whole.notes", f"{run_id}.notes")
    return run(case, run_id, seed=SEED + 1)


def interrupted_fork(epoch, run_id, case):
    with suppress(Interrupted):
        forked("whole", 1, run_id, case, CHANGED, interrupted=InterruptedAt(epoch))
        raise AssertionError(f"it was not interrupted in epoch {epoch}")
    return run(case, run_id, seed=SEED + epoch)


CHANGED = {"lr": 0.5, "weight_decay": 0.25, "betas": [0.5, 0.75]}


def test_a_fork_that_changes_hyperparameters_is_interrupted_and_ends_as_the_uninterrupted_one():
    case = keeps_all(CASES["changed_hparams"])
    whole = parent(case)
    fork = Forked(partial(forked, "whole", 1, "fork", case, CHANGED)).result()
    assert isinstance(fork, dict), fork
    assert fork["weights"] != whole["weights"]
    others = {
        f"interrupted in epoch {epoch}": Forked(partial(interrupted_fork, epoch, f"fork-{epoch}", case))
        for epoch in range(2, case.epochs)
    }
    ends = {when: other.result() for when, other in others.items()}
    ends = {
        when: {**end, "machine path": fork["machine path"]} if isinstance(end, dict) else end
        for when, end in ends.items()
    }
    refuse_differences(fork, ends)
