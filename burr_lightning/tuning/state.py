"""The state of a study: the name and the default of every key.

| key | what it holds |
|---|---|
| `ledger` | `Ledger`: every trial, its hyperparameters, and how it went |
| `trial` | the trial that the newest step was about |
| `best` | `trial`, `value`, `params` and `run_id` of the best one |
| `parallel` | how many trials run at once |
| `n_trials` | how many there are to be, `None` for no limit |
| `seconds` | how long the study has run, in all processes |
| `seed` | what the sampler's random numbers come from |
| `stop_reason` | what ended the study, in words |
| `stopped_by` | the condition that did, as it was written; `None` where it was `n_trials` |
| `outcome` | how the trial went that is to be recorded |
| `interrupted` | what interrupts the study, which then starts no trial any more |
| `unknown_monitor` | the monitor that nothing had logged when that ended the study, `None` where none has |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from burr.core import State, serde

from ..metric import Mode
from .ledger import Ledger
from .trial_record import TrialRecord


def initial_state(
    directions: Sequence[Mode], parallel: int, n_trials: int | None, seed: int
) -> dict[str, Any]:
    """The state of a study before its first trial."""
    return {
        "ledger": Ledger(directions),
        "trial": None,
        "best": None,
        "parallel": parallel,
        "n_trials": n_trials,
        "seconds": 0.0,
        "seed": seed,
        "stop_reason": None,
        "stopped_by": None,
        "outcome": None,
        "interrupted": None,
        "unknown_monitor": None,
    }


def with_ledger(state: State[Any], ledger: Ledger, trial: int) -> State[Any]:
    """The state after something was told of a trial."""
    return state.update(ledger=ledger, trial=trial, best=in_short(ledger.best))


def in_short(best: TrialRecord | None) -> dict[str, Any] | None:
    """What the state says of the best trial."""
    if best is None:
        return None
    return {"trial": best.number, "value": best.value, "params": dict(best.params), "run_id": best.run_id}


@serde.serialize.register
def _ledger_in_short(ledger: Ledger, **kwargs: Any) -> dict[str, Any]:
    """What a tracker shows at each step: not all trials again."""
    newest = ledger.trials[-1].number if len(ledger) else None
    counts = {
        "trials": len(ledger),
        "over": ledger.over,
        "running": len(ledger.running),  # a number: a thousand workers would be listed in every line
        "waiting": len(ledger.waiting),
    }
    return {**counts, "newest": newest, "since_best": ledger.since_best}
