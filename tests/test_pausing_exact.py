"""A run that pauses ends as one that was answered at once, wherever its processes were killed on the way."""

import os
import signal
import sys
from functools import partial
from itertools import count

import pytest
from exact_machines import MACHINES
from exactness import SEED, Case, Forked, run
from test_exactness import refuse_differences, uninterrupted

from burr_lightning import Run
from burr_lightning.errors import NotAskedError, RunNotFoundError


def pausing(name):
    """The script of the run that was answered at once, but that its processes end where it asks."""
    script = MACHINES[name].write()
    script.burr["wait"] = "exit"
    return script


def pauses(name):
    return Case(partial(pausing, name), epochs=MACHINES[name].epochs)


ANSWER = {"verdict": "go", "lr": 0.004}
PAUSES = pauses("reviewed")


def goes_on(run_id, case=PAUSES, answer=ANSWER):
    """What a user does until the run has ended: run the script, answer, run it again."""
    ended, processes = None, count(1)
    while ended is None or Run.open(run_id).status == "paused":
        if ended is not None and not Run.open(run_id).is_answered:
            Run.open(run_id).answer(**answer)
        ended = run(case, run_id, seed=SEED + next(processes) if has_commit(run_id) else SEED)
    return ended


def has_commit(run_id):
    """Whether random numbers come from a commit; else the seed counts."""
    try:
        state = Run.open(run_id).state
    except RunNotFoundError:
        return False
    return state is not None and state["checkpoint"] is not None


def die_at(point, run_id, *, begins_with):
    """Have this process kill itself at a file that it opens, links, renames or removes in the run's folder.

    Args:
        point: The how manieth, 1-based, from the first one on whose path has ``begins_with`` in it.
        run_id: The run.
        begins_with: A part of a path.
    """
    points, begun = count(1), False

    def hook(event, arguments):
        nonlocal begun
        if event not in {"open", "os.link", "os.rename", "os.remove"} or run_id not in str(arguments[0]):
            return
        begun = begun or begins_with in str(arguments[0])
        if begun and next(points) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def killed(work, point, run_id, begins_with):
    die_at(point, run_id, begins_with=begins_with)
    work()


def killed_everywhere(work, prepare, name, begins_with, every=1):
    """Kill processes at every point of a piece of work, and have each run gone on with to its end.

    Args:
        work: The work.
        prepare: What is done before.
        name: What the runs are called.
        begins_with: A part of the path that the first point has.
        every: 3 for each third point.

    Returns:
        How each ended.
    """
    ends, code, points = {}, -signal.SIGKILL, count(1, every)
    while code == -signal.SIGKILL:
        point = next(points)
        run_id = f"{name}-{point}"
        prepared = Forked(partial(prepare, run_id)).result()
        assert prepared is None, prepared
        code = Forked(partial(killed, partial(work, run_id), point, run_id, begins_with)).ended_with()
        if code == -signal.SIGKILL:
            ends[f"{name}, killed at point {point}"] = Forked(partial(goes_on, run_id))
    assert code == 0
    return ends


def paused(run_id):
    run(PAUSES, run_id)


def answered(run_id):
    paused(run_id)
    Run.open(run_id).answer(**ANSWER)


def nothing(run_id):
    pass


def again(run_id):
    run(PAUSES, run_id, seed=SEED + 1)


def answer(run_id):
    try:
        Run.open(run_id).answer(**ANSWER)
    except NotAskedError:
        raise AssertionError("it was not paused") from None


@pytest.mark.parametrize(
    ("name", "action", "times", "answer"),
    [
        ("reviewed", "review", 2, ANSWER),
        ("reviewed_between_batches_and_gone_on_with", "ask", 1, {"verdict": "go"}),
    ],
)
def test_a_run_that_pauses_ends_as_one_that_was_answered_at_once(name, action, times, answer):
    whole = uninterrupted(MACHINES[name])
    assert whole["machine path"].count(action) == times
    refuse_differences(whole, {"paused": Forked(partial(goes_on, "a", pauses(name), answer)).result()})


@pytest.mark.parametrize(
    ("name", "work", "prepare", "begins_with", "at_least"),
    [
        ("pausing", paused, nothing, "reviews", 4),
        ("answering", answer, paused, "reviews", 4),
        ("asked-again", again, paused, "reviews", 4),
        ("going-on", again, answered, "reviews", 6),
    ],
)
def test_wherever_a_process_is_killed_on_the_way_the_answer_is_used_once(
    name, work, prepare, begins_with, at_least, request
):
    whole = uninterrupted(MACHINES["reviewed"])
    every = 1 if name == "answering" or request.config.getoption("kills") >= 1000 else 3
    ends = killed_everywhere(work, prepare, name, begins_with, every)
    assert len(ends) >= at_least / every
    refuse_differences(whole, {when: forked.result() for when, forked in ends.items()})
