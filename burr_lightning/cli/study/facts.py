"""What `--json` tells of a study; the keys are stable."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...tuning import TrialRecord
    from ...tuning.looking import StudyLook


def identity(look: StudyLook) -> dict[str, Any]:
    """Which study it is, and what it looks for."""
    return {
        "study_id": look.info.run_id,
        "project": look.info.project,
        "monitor": look.info.monitor,
        "directions": look.info.directions,
    }


def summary(look: StudyLook) -> dict[str, Any]:
    """What `study list` tells of each study."""
    return {
        **identity(look),
        "status": look.status,
        "trials": look.fates,
        "n_trials": look.study.state["n_trials"],
        "best": [trial_facts(look, trial) for trial in look.study.best_trials],
        "stop_reason": look.study.stop_reason,
        "seconds": look.study.state["seconds"],
        "created": when(look.info.created),
    }


def details(look: StudyLook, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """What `study show` tells: the summary, and trials."""
    return {
        **summary(look),
        "process": look.owner,
        "folder": look.folder.path,
        "parallel": look.study.state["parallel"],
        "shown": [trial_facts(look, trial) for trial in trials],
    }


def trial_facts(look: StudyLook, trial: TrialRecord) -> dict[str, Any]:
    """What is told of a trial."""
    from ...tuning.looking import status_of

    score = look.scores.get(trial.number)
    return {
        "trial": trial.number,
        "status": status_of(trial.status, is_run=trial.number in look.under_way),
        "values": list(trial.values) if trial.values is not None else None,
        "params": dict(trial.params),
        "run_id": trial.run_id,
        "attempts": trial.attempts,
        "started": when(trial.started),
        "ended": when(trial.ended),
        "seconds": seconds_of(trial),
        "epoch": trial.step if trial.step is not None else (score.epoch if score else None),
        "newest_score": score.value if score else None,
        "worker": trial.worker,
        "reason": trial.reason,
    }


def seconds_of(trial: TrialRecord, now: float | None = None) -> float | None:
    """How long a trial took since it was begun last, ``None`` where that is unknown.

    Args:
        trial: The trial.
        now: Until when, for one that runs; seconds since 1970.
    """
    ended = trial.ended if trial.ended is not None else now
    return None if trial.started is None or ended is None else max(ended - trial.started, 0.0)


def when(seconds: float | None) -> str | None:
    """A time with its time zone."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat() if seconds is not None else None
