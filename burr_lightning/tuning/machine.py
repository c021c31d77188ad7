"""The machine of a study: `suggest → launch → wait → record → … → best_model`."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import count
from typing import Any, Protocol

from burr.core import Condition, State
from burr.core.action import Action
from burr.core.graph import Graph, GraphBuilder

from .ledger import Ledger
from .outcomes import INTERRUPTED, Outcome
from .state import in_short, with_ledger


class Suggests(Protocol):
    """Says what to try next."""

    def suggest(self, ledger: Ledger) -> Any:
        """The next trial, as a `Suggestion`."""

    def ended(self, ledger: Ledger, trial: Any) -> Any:
        """A trial is over: what to keep of it."""


class Runs(Protocol):
    """Runs trials."""

    def launch(self, ledger: Ledger, trial: int, sequence_id: int) -> None:
        """Begin with one, or go on with it."""

    def next(self) -> Outcome:
        """Wait until one of them is done."""


def wants_more(state: State[Any]) -> bool:
    """Whether another trial is to be suggested."""
    wanted = state["n_trials"]
    return state["stop_reason"] is None and (wanted is None or len(state["ledger"]) < wanted)


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


class _StudyAction(Action):
    """One step of a study."""

    READS: tuple[str, ...] = ("ledger",)
    WRITES: tuple[str, ...] = ("ledger", "trial", "best")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def reads(self) -> list[str]:
        return list(self.READS)

    @property
    def writes(self) -> list[str]:
        return list(self.WRITES)


class Suggest(_StudyAction):
    """Ask the sampler for the hyperparameters of the next trial.

    Reads: `ledger`. Writes: `ledger`, `trial`, `best`.

    Args:
        sampler: What is asked.
        study_id: The study, whose name the trials' runs begin with.
    """

    def __init__(self, sampler: Suggests, study_id: str) -> None:
        super().__init__()
        self._sampler, self._study_id = sampler, study_id

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Its hyperparameters, and what the sampler keeps."""
        found = self._sampler.suggest(state["ledger"])
        number = len(state["ledger"])
        return {
            "trial": number,
            "run_id": f"{self._study_id}-{number}",
            "params": dict(found.params),
            "attributes": dict(found.attributes),
            "study_attributes": dict(found.study_attributes),
            "segment": found.segment,
        }

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The ledger with it."""
        kept = {key: result[key] for key in ("attributes", "study_attributes", "segment")}
        ledger = state["ledger"].suggested(result["params"], result["run_id"], **kept)
        return with_ledger(state, ledger, result["trial"])


class Launch(_StudyAction):
    """Give the trial that has waited longest to a worker.

    Reads: `ledger`. Writes: `ledger`, `trial`, `best`.

    Args:
        runs: What runs it.
    """

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._runs = runs

    @property
    def inputs(self) -> list[str]:
        """The number of the step, that the trial's run is a child of."""
        return ["sequence_id"]

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Which one, by which worker, and when."""
        ledger = state["ledger"]
        trial = ledger.waiting[0]
        self._runs.launch(ledger, trial, inputs["sequence_id"])
        return {"trial": trial, "worker": _free_worker(ledger), "at": time.time()}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The ledger that knows that it runs."""
        ledger = state["ledger"].launched(result["trial"], at=result["at"], worker=result["worker"])
        return with_ledger(state, ledger, result["trial"])


def _free_worker(ledger: Ledger) -> str:
    busy = {ledger[trial].worker for trial in ledger.running}
    return next(name for number in count() if (name := f"worker {number}") not in busy)


class Wait(_StudyAction):
    """Wait until a trial is done, however it went.

    Reads: `ledger`. Writes: `outcome`, `trial`.

    Args:
        runs: What runs them.
    """

    WRITES = ("outcome", "trial")

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._runs = runs

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """How it went."""
        return {"outcome": self._runs.next().as_dict()}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that has it."""
        return state.update(outcome=result["outcome"], trial=result["outcome"]["trial"])


class Record(_StudyAction):
    """Write down how a trial went, and whether that ends the study.

    A trial whose process died waits for another worker, until that has happened ``attempts`` times; one that
    was ended together with the study waits for it to go on, and one that another process has still, for that.

    Reads: `ledger`, `outcome`, `seconds`, `interrupted`. Writes: the first three, `trial`, `best` and
    `stop_reason`.

    Args:
        sampler: What is told of it.
        attempts: How often a trial is begun at most.
        stop_when: What ends the study, ``None`` for nothing but ``n_trials``.
        clock: Gives the seconds that the study has run so far.
    """

    READS = ("ledger", "outcome", "seconds", "interrupted")
    WRITES = ("ledger", "trial", "best", "outcome", "stop_reason", "seconds")

    def __init__(self, sampler: Suggests, attempts: int, stop_when: Condition | None, clock: Any) -> None:
        super().__init__()
        self._sampler, self._attempts, self._stop_when, self._clock = sampler, attempts, stop_when, clock

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """The trial, as it is from now on."""
        outcome = Outcome(**state["outcome"])
        result = {**outcome.as_dict(), "seconds": self._clock(), "attributes": {}}
        if state["interrupted"] is not None and outcome.status in ("died", "failed"):
            return {**result, "status": "interrupted", "reason": INTERRUPTED}
        if outcome.status == "died":
            if outcome.waited or state["ledger"][outcome.trial].deaths + 1 < self._attempts:
                return result
            result |= {"status": "failed", "reason": f"{outcome.reason} ({self._attempts} attempts)"}
        trial = replace(
            state["ledger"][outcome.trial],
            status=result["status"],
            values=tuple(outcome.values) if outcome.values is not None else None,
            step=outcome.step,
            ended=outcome.at,
        )
        return {**result, "attributes": dict(self._sampler.ended(state["ledger"], trial))}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The ledger that knows, and the reason to stop where there is one."""
        state = with_ledger(state, _with(state["ledger"], result), result["trial"])
        state = state.update(outcome=None, seconds=result["seconds"])
        return state.update(stop_reason=state["stop_reason"] or self._reason(state))

    def _reason(self, state: State[Any]) -> str | None:
        from .stopping import reason_to_stop

        return reason_to_stop(self._stop_when, state)


def _with(ledger: Ledger, result: dict[str, Any]) -> Ledger:
    trial, status, place = result["trial"], result["status"], result["place"]
    if status in ("died", "interrupted"):
        died = status == "died" and not result["waited"]
        return ledger.set_back(trial, result["reason"], died=died, at=result["at"], place=place)
    return ledger.ended(
        trial,
        status,
        at=result["at"],
        values=result["values"],
        step=result["step"],
        reason=result["reason"],
        place=place,
        attributes=result["attributes"],
    )


class BestTrial(_StudyAction):
    """Name the best trial, and why the study ended.

    Reads: `ledger`, `stop_reason`, `n_trials`. Writes: `best`, `stop_reason`.
    """

    READS = ("ledger", "stop_reason", "n_trials")
    WRITES = ("best", "stop_reason")

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """The best one, and the reason."""
        reason = state["stop_reason"] or f"n_trials={state['n_trials']}: so many trials are over"
        return {"best": in_short(state["ledger"].best), "stop_reason": reason}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that names it."""
        return state.update(**result)


def study_machine(
    sampler: Suggests, runs: Runs, *, study_id: str, attempts: int, stop_when: Condition | None, clock: Any
) -> Graph:
    """The machine of a study.

    Args:
        sampler: What says which trial is next.
        runs: What runs trials.
        study_id: The study's name.
        attempts: How often a trial is begun at most.
        stop_when: What ends the study.
        clock: Gives the seconds that the study has run so far.
    """
    return (
        GraphBuilder()
        .with_actions(
            suggest=Suggest(sampler, study_id),
            launch=Launch(runs),
            wait=Wait(runs),
            record=Record(sampler, attempts, stop_when, clock),
            best_model=BestTrial(),
        )
        .with_transitions(
            ("suggest", "launch", WAITS),
            ("suggest", "wait", RUNS),
            (["launch", "record"], "launch", WAITS),
            (["launch", "record"], "suggest", WANTS),
            (["launch", "record"], "wait", RUNS),
            ("wait", "record"),
            ("record", "best_model"),
        )
        .build()
    )
