"""The machine of a study: `suggest → launch → wait → record → … → best_model`."""

from __future__ import annotations

from typing import Any

from burr.core import Condition, State
from burr.core.graph import Graph, GraphBuilder

from .record_action import BestTrial, InShort, Record
from .study_actions import Clock, Launch, Runs, Suggest, Suggests, Wait


def wants_more(state: State[Any]) -> bool:
    """Whether another trial is to be suggested."""
    wanted = state["n_trials"]
    return state["stop_reason"] is None and (wanted is None or len(state["ledger"]) < wanted)


def is_done(state: State[Any]) -> bool:
    """Whether nothing is left to do; an interrupted study has only stopped doing it."""
    ledger = state["ledger"]
    return state["interrupted"] is None and not (ledger.running or ledger.waiting or wants_more(state))


def has_free_worker(state: State[Any]) -> bool:
    """Whether another trial can be run beside those that are running."""
    return state["interrupted"] is None and len(state["ledger"].running) < int(state["parallel"])


WAITS = Condition(
    ["ledger", "parallel", "interrupted"],
    lambda state: bool(state["ledger"].waiting) and has_free_worker(state),
    name="a trial waits, and a worker is free",
)
WANTS = Condition(
    ["ledger", "parallel", "n_trials", "stop_reason", "interrupted"],
    lambda state: has_free_worker(state) and wants_more(state),
    name="another trial is wanted, and a worker is free",
)
RUNS = Condition(["ledger"], lambda state: bool(state["ledger"].running), name="a trial runs")
DONE = Condition(
    ["ledger", "n_trials", "stop_reason", "interrupted"],
    lambda state: is_done(state),
    name="no trial runs, none waits, and no other one is wanted",
)


def study_machine(
    sampler: Suggests,
    runs: Runs,
    *,
    study_id: str,
    attempts: int,
    stop_when: Condition | None,
    clock: Clock,
    in_short: InShort,
) -> Graph:
    """The machine of a study.

    Args:
        sampler: What says which trial is next.
        runs: What runs trials.
        study_id: The study's name.
        attempts: How often a trial is begun at most.
        stop_when: What ends the study.
        clock: Gives the seconds that the study has run so far.
        in_short: Makes of a trial's reason one that a row can hold.
    """
    return (
        GraphBuilder()
        .with_actions(
            suggest=Suggest(sampler, study_id, clock),
            launch=Launch(runs, clock),
            wait=Wait(runs, clock),
            record=Record(sampler, attempts, stop_when, clock, in_short),
            best_model=BestTrial(sampler, clock),
        )
        .with_transitions(
            ("suggest", "launch", WAITS),
            ("suggest", "wait", RUNS),
            (["launch", "record"], "launch", WAITS),
            (["launch", "record"], "suggest", WANTS),
            (["launch", "record"], "wait", RUNS),
            ("wait", "record"),
            ("record", "best_model", DONE),
        )
        .build()
    )
