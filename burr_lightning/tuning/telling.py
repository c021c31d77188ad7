"""What a study says while it runs."""

from __future__ import annotations

import logging
from typing import Any

from burr.core import State

from .trial_record import TrialRecord

log = logging.getLogger(__name__)


def tell(study_id: str, trial: TrialRecord, state: State[Any]) -> None:
    """Say how a trial went.

    Args:
        study_id: The study.
        trial: The trial.
        state: The study's state, which knows it.
    """
    who = f"Study {study_id!r}: trial {trial.number}"
    if trial.status == "failed":
        log.warning(
            "%s failed: %s (its traceback is in study.trials[%d].reason)",
            who,
            _why(trial),
            trial.number,
        )
    elif trial.status == "waiting" and state["interrupted"] is None:
        log.warning("%s is begun again: %s", who, _why(trial))
    elif trial.status == "pruned":
        _say(f"{who} was pruned: {trial.reason}.")
    elif trial.status == "finished":
        _say(f"{who} came to {_values(trial)}{_best(state)}.")


def interrupted(study_id: str, why: str, running: int) -> None:
    """Say that it is to end, and what it waits for."""
    waits = f"; {running} trials that run are asked to commit and to end" if running else ""
    log.warning(
        "Study %r is interrupted by %s%s. It goes on where it is started again.", study_id, why, waits
    )


def not_waited_for(study_id: str, running: int) -> None:
    """Say that the user did not want to wait."""
    log.warning(
        "Study %r: Ctrl-C again. The %d trials that run are not waited for; they go on from their last "
        "commits where the study is started again.",
        study_id,
        running,
    )


def _say(line: str) -> None:
    # Here, so that who looks at a study, as the commands do, does not wait for torch.
    from lightning.pytorch.utilities.rank_zero import rank_zero_info  # type: ignore[attr-defined]

    rank_zero_info(line)


def _best(state: State[Any]) -> str:
    best = state["best"]
    return f"; the best is trial {best['trial']} with {best['value']:g}" if best is not None else ""


def _values(trial: TrialRecord) -> str:
    return ", ".join(f"{value:g}" for value in trial.values or [])


def _why(trial: TrialRecord) -> str:
    """The exception of a traceback, which may have several lines."""
    lines = (trial.reason or "").splitlines()
    where = max((number for number, line in enumerate(lines) if line.startswith(" ")), default=-1)
    return " ".join(lines[where + 1 :])
