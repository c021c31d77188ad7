"""The actions of a study that begin trials and wait for them, and what all of its actions have."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from burr.core import State
from burr.core.action import Action

from .ledger import Ledger
from .outcomes import Outcome
from .params import plain_params
from .state import with_ledger

Clock = Callable[[], float]
"""Gives the seconds that a study has run so far, in all processes."""


class Suggests(Protocol):
    """Says what to try next."""

    def suggest(self, ledger: Ledger) -> Any:
        """The next trial, as a `Suggestion`."""

    def left(self, ledger: Ledger) -> int | None:
        """How many trials it can still say, ``None`` where there is no end of them."""

    def ended(self, ledger: Ledger, trial: Any) -> Any:
        """A trial is over: what to keep of it."""

    @property
    def stopped(self) -> str | None:
        """Why it has stopped the study, ``None`` where it has not."""


class Runs(Protocol):
    """Runs trials."""

    def launch(self, ledger: Ledger, trial: int, sequence_id: int) -> float:
        """Begin with one, or go on with it; when that was, in seconds since 1970."""

    def next(self) -> Outcome:
        """Wait until one of them is done."""


class StudyAction(Action):
    """One step of a study.

    Args:
        clock: Gives the seconds that the study has run so far.
    """

    READS: tuple[str, ...] = ("ledger",)
    WRITES: tuple[str, ...] = ("ledger", "trial", "best", "seconds")

    def __init__(self, clock: Clock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = clock

    @property
    def reads(self) -> list[str]:
        """What it takes of the state."""
        return list(self.READS)

    @property
    def writes(self) -> list[str]:
        """What it changes of it."""
        return list(self.WRITES)


class Suggest(StudyAction):
    """Ask the sampler for the hyperparameters of the next trial.

    Reads: `ledger`. Writes: `ledger`, `trial`, `best`, `seconds`.

    Args:
        sampler: What is asked.
        study_id: The study, whose name the trials' runs begin with.
        clock: Gives the seconds that the study has run so far.
    """

    def __init__(self, sampler: Suggests, study_id: str, clock: Clock) -> None:
        super().__init__(clock)
        self._sampler, self._study_id = sampler, study_id

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Its hyperparameters, and what the sampler keeps."""
        found = self._sampler.suggest(state["ledger"])
        number = len(state["ledger"])
        return {
            "trial": number,
            "run_id": f"{self._study_id}-{number}",
            "params": plain_params(found.params, number),
            "attributes": dict(found.attributes),
            "study_attributes": dict(found.study_attributes),
            "segment": found.segment,
            "seconds": self._clock(),
        }

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The ledger with it."""
        kept = {key: result[key] for key in ("attributes", "study_attributes", "segment")}
        ledger = state["ledger"].suggested(result["params"], result["run_id"], **kept)
        return with_ledger(state, ledger, result["trial"]).update(seconds=result["seconds"])


class Launch(StudyAction):
    """Give the trial that has waited longest to a worker.

    Reads: `ledger`. Writes: `ledger`, `trial`, `best`, `seconds`.

    Args:
        runs: What runs it.
        clock: Gives the seconds that the study has run so far.
    """

    def __init__(self, runs: Runs, clock: Clock) -> None:
        super().__init__(clock)
        self._runs = runs

    @property
    def inputs(self) -> list[str]:
        """The number of the step, that the trial's run is a child of."""
        return ["sequence_id"]

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """Which one, by which worker, and when."""
        ledger = state["ledger"]
        trial = ledger.waiting[0]
        began = self._runs.launch(ledger, trial, inputs["sequence_id"])
        return {"trial": trial, "worker": free_worker(ledger), "at": began, "seconds": self._clock()}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The ledger that knows that it runs."""
        ledger = state["ledger"].launched(result["trial"], at=result["at"], worker=result["worker"])
        return with_ledger(state, ledger, result["trial"]).update(seconds=result["seconds"])


def free_worker(ledger: Ledger) -> str:
    """The first worker that has no trial."""
    busy = {ledger[trial].worker for trial in ledger.running}
    return next(name for number in count() if (name := f"worker {number}") not in busy)


class Wait(StudyAction):
    """Wait until a trial is done, however it went.

    Reads: `ledger`. Writes: `outcome`, `trial`.

    Args:
        runs: What runs them.
        clock: Gives the seconds that the study has run so far.
    """

    WRITES = ("outcome", "trial")

    def __init__(self, runs: Runs, clock: Clock) -> None:
        super().__init__(clock)
        self._runs = runs

    def run(self, state: State[Any], **inputs: Any) -> dict[str, Any]:
        """How it went."""
        return {"outcome": self._runs.next().as_dict()}

    def update(self, result: dict[str, Any], state: State[Any]) -> State[Any]:
        """The state that has it."""
        return state.update(outcome=result["outcome"], trial=result["outcome"]["trial"])
