"""The actions of a study that write down how trials went, and how the study ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from burr.core import Condition, State

from .ledger import Ledger
from .outcomes import INTERRUPTED, Outcome
from .state import in_short, with_ledger
from .stopping import stopped
from .study_actions import Clock, StudyAction, Suggests

InShort = Callable[[int, str | None], str | None]
"""From a trial and its reason to one that a row can hold."""


class Record(StudyAction):
    """Write down how a trial went, and whether that ends the study.

    A trial whose process died waits for another worker, until that has happened ``attempts`` times; one that
    was ended together with the study waits for it to go on, and one that another process has still, for that.

    Reads: `ledger`, `outcome`, `seconds`, `interrupted`. Writes: the first three, `trial`, `best`,
    `stop_reason` and `stopped_by`.

    Args:
        sampler: What is told of it.
        attempts: How often a trial is begun at most.
        stop_when: What ends the study, ``None`` for nothing but ``n_trials``.
        clock: Gives the seconds that the study has run so far.
        in_short: Makes of a trial's reason one that a row can hold.
    """

    READS = ("ledger", "outcome", "seconds", "interrupted")
    WRITES = ("ledger", "trial", "best", "outcome", "stop_reason", "stopped_by", "seconds")

    def __init__(
        self, sampler: Suggests, attempts: int, stop_when: Condition | None, clock: Clock, in_short: InShort
    ) -> None:
        super().__init__(clock)
        self._sampler, self._attempts, self._stop_when = sampler, attempts, stop_when
        self._in_short = in_short

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """The trial, as it is from now on."""
        outcome = Outcome.of_dict(state["outcome"])
        outcome = replace(outcome, reason=self._in_short(outcome.trial, outcome.reason))
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
        attributes = dict(self._sampler.ended(state["ledger"], trial))
        return {**result, "attributes": attributes, "stopped": self._sampler.stopped}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The ledger that knows, and the reason to stop where there is one."""
        state = with_ledger(state, _with(state["ledger"], result), result["trial"])
        state = state.update(outcome=None, seconds=result["seconds"])
        if state["stop_reason"] is not None:
            return state
        by_sampler = result.get("stopped")
        return stopped(state, self._stop_when) if by_sampler is None else state.update(stop_reason=by_sampler)


def _with(ledger: Ledger, result: dict[str, Any]) -> Ledger:
    trial, status, place = result["trial"], result["status"], result["place"]
    if status in ("died", "interrupted"):
        died = status == "died" and not result["waited"]
        return ledger.set_back(trial, result["reason"], died=died, at=result["at"], place=place)
    kept = {key: result[key] for key in ("at", "values", "step", "reason", "place", "attributes")}
    return ledger.ended(trial, status, **kept)


class BestTrial(StudyAction):
    """Name the best trial, and why the study ended.

    Reads: `ledger`, `stop_reason`, `n_trials`. Writes: `best`, `stop_reason`, `seconds`.

    Args:
        sampler: What says whether there are more trials.
        clock: Gives the seconds that the study has run so far.
    """

    READS = ("ledger", "stop_reason", "n_trials")
    WRITES = ("best", "stop_reason", "seconds")

    def __init__(self, sampler: Suggests, clock: Clock) -> None:
        super().__init__(clock)
        self._sampler = sampler

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """The best one, and the reason."""
        reason = state["stop_reason"] or self._enough(state["ledger"], state["n_trials"])
        return {"best": in_short(state["ledger"].best), "stop_reason": reason, "seconds": self._clock()}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that names it."""
        return state.update(**result)

    def _enough(self, ledger: Ledger, wanted: int) -> str:
        """Why no more trials are wanted; there may be more than that, of before today's ``n_trials``."""
        if self._sampler.left(ledger) == 0:
            return "all points were tried"
        return f"n_trials={wanted}: {'so many' if len(ledger) == wanted else len(ledger)} trials are over"
