"""Trials and studies in words, as tables and pictures of the terminal have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..output import NONE, number

if TYPE_CHECKING:
    from ...tuning import TrialRecord
    from ...tuning.looking import StudyLook

_LONGEST = 70
"""Characters of a reason."""


def value_text(trial: TrialRecord) -> str:
    """What a trial came to."""
    return ", ".join(map(number, trial.values)) if trial.values is not None else NONE


def value_names(look: StudyLook) -> str:
    """What a study looks at, and which way is better."""
    modes = look.info.directions
    if len(modes) == 1:
        return f"{look.info.monitor or 'value'} ({modes[0]})"
    return ", ".join(f"value {at} ({mode})" for at, mode in enumerate(modes))


def reason_text(trial: TrialRecord, longest: int = _LONGEST) -> str:
    """Why a trial failed or was pruned, in short: of a traceback, the exception."""
    if trial.reason is None or trial.status == "finished":
        return ""
    lines = trial.reason.strip().splitlines()
    if lines and lines[0].startswith("Traceback "):
        frames = max(at for at, line in enumerate(lines) if line.startswith((" ", "Traceback ")))
        lines = lines[frames + 1 :] or lines[-1:]
    said = " ".join(" ".join(lines).split())
    return said if len(said) <= longest else f"{said[: longest - 1]}…"


def params_text(params: Mapping[str, Any]) -> str:
    """Parameters on one line, numbers in short."""
    return ", ".join(f"{name}={param_text(value)}" for name, value in params.items()) or NONE


def param_text(value: Any) -> str:
    """A parameter's value, in short.

    Example:
        >>> param_text(0.0123456), param_text(64), param_text("adam")
        ('0.01235', '64', 'adam')
    """
    text = number(value) if isinstance(value, float) else str(value)
    return re.sub(r"\s+", " ", text)


def counts_text(look: StudyLook) -> str:
    """How many trials there are of each status, and of how many."""
    counts = [f"{count} {fate}" for fate, count in look.fates.items() if count]
    wanted = look.study.state["n_trials"]
    of = f" of {wanted}" if wanted is not None else ""
    return f"{look.study.ledger.over}{of} over: {', '.join(counts)}" if counts else f"none{of} yet"


def best_text(look: StudyLook) -> str:
    """The best trial; of several directions, how many are not beaten."""
    best = look.study.best_trials
    if not best:
        return NONE
    if len(look.info.directions) > 1:
        return f"{len(best)} that no other one beats"
    return f"{value_text(best[0])} (trial {best[0].number})"
