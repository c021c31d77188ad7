"""A machine that changes the training in the middle of it is gone on with exactly, wherever it was killed."""

import os
import signal
from functools import partial

import pytest
from burr.lifecycle.base import PostRunStepHook, PreRunStepHook
from exact_machines import MACHINES, SPECIAL
from exactness import SEED, Case, Forked, InterruptedAt, resumed, run
from test_exactness import refuse_differences, uninterrupted

from burr_lightning import Run


class KilledIn(PreRunStepHook, PostRunStepHook):
    """Kills the process right before an action, or when it has acted and nothing is committed."""

    def __init__(self, action: str, nth: int, *, after: bool) -> None:
        self._action, self._nth, self._after = action, nth, after

    def pre_run_step(self, *, action, **future_kwargs):
        self._kill(action, after=False)

    def post_run_step(self, *, action, **future_kwargs):
        self._kill(action, after=True)

    def _kill(self, action, *, after):
        if action.name == self._action and after == self._after:
            self._nth -= 1
            if self._nth == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def killed_in(case, action, run_id, **where):
    def write():
        script = case.write()
        script.burr["hooks"] = [KilledIn(action, **where)]
        return script

    return run(Case(write, epochs=case.epochs), run_id)


def gone_on_with(case, run_id):
    """Run it again; with another seed, unless nothing was committed that could hold the random numbers."""
    state = Run.open(run_id).state
    committed = state is not None and state["checkpoint"] is not None
    return run(case, run_id, seed=SEED + committed)


def gone_on_with_in(case, action, run_id, **where):
    killed = Forked(partial(killed_in, case, action, run_id, **where))
    if (code := killed.ended_with()) != -signal.SIGKILL:
        return f"it was not killed in {action}, it ended with {code}"
    return gone_on_with(case, run_id)


@pytest.mark.parametrize("name", MACHINES)
def test_a_run_killed_in_a_special_action_ends_as_the_uninterrupted_one(name):
    case = MACHINES[name]
    again = {
        f"killed {'after' if after else 'before'} {action}": Forked(
            partial(gone_on_with_in, case, action, f"{action}-{after}", nth=1, after=after)
        )
        for action in SPECIAL[name]
        for after in (False, True)
    }
    whole = uninterrupted(case)
    assert set(SPECIAL[name]) <= set(whole["machine path"])
    refuse_differences(whole, {when: forked.result() for when, forked in again.items()})


@pytest.mark.parametrize("name", MACHINES)
def test_a_run_killed_in_any_epoch_ends_as_the_uninterrupted_one(name):
    case = MACHINES[name]
    killed = {
        epoch: Forked(
            partial(run, case, f"killed-in-{epoch}", interrupted=InterruptedAt(epoch, "SIGKILL", nth=2))
        )
        for epoch in range(case.epochs)
    }
    whole = uninterrupted(case)
    assert {process.ended_with() for process in killed.values()} <= {-signal.SIGKILL, 0}
    again = {epoch: Forked(partial(resumed, case, epoch, f"killed-in-{epoch}")) for epoch in killed}
    refuse_differences(
        whole, {f"killed in epoch {epoch}": forked.result() for epoch, forked in again.items()}
    )
