"""Outcomes that no row has yet: a trial that is over is not run again where its study has died before.

A worker keeps one before it tells it, in a file of the study's folder, until the study has recorded it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..json_types import known
from ..layout import read_json, write_json
from ..locks import holder, is_held
from .outcomes import Outcome
from .trial import TrialTask
from .trial_record import OVER, TrialRecord

log = logging.getLogger(__name__)

_FOLDER = "outcomes"


def trial_file(study: Path, trial: int, suffix: str) -> Path:
    """A file that is there while a trial is under way.

    Args:
        study: The study's folder.
        trial: Which trial.
        suffix: What the file's name ends with.
    """
    return study / _FOLDER / f"{trial}{suffix}"


def keep(task: TrialTask, outcome: Outcome) -> None:
    """Keep how a trial went, if it is over, until the study has recorded it.

    One that only the study's monitor leaves without a value is not kept: it has one under another monitor.

    Args:
        task: The trial.
        outcome: How it went.
    """
    if outcome.status not in OVER or outcome.logged is not None:
        return
    path = trial_file(task.scores.parent, task.number, ".json")
    values = None if outcome.values is None else [repr(value) for value in outcome.values]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**_facts(task), "outcome": {**outcome.as_dict(), "values": values}})
    except OSError as error:
        log.warning("How trial %d went could not be kept for the study: %s", task.number, error)


def kept(task: TrialTask) -> Outcome | None:
    """How a trial went that was over before, in a process whose study did not record it.

    Args:
        task: The trial, as it is begun now.
    """
    stored = read_json(trial_file(task.scores.parent, task.number, ".json"))
    facts = None if stored is None else {name: stored.get(name) for name in ("run_id", "params")}
    if stored is None or facts != _facts(task) or not isinstance(stored.get("outcome"), dict):
        return None
    values = stored["outcome"].get("values")
    numbers = None if values is None else [float(value) for value in values]
    return known(Outcome, {**stored["outcome"], "values": numbers})


def _facts(task: TrialTask) -> Mapping[str, Any]:
    """What tells a trial from one that another study of that name had under its number."""
    return {"run_id": task.run_id, "params": dict(task.params)}


def forget(study: Path, trial: TrialRecord) -> None:
    """Forget how a trial went, which the study has recorded.

    Args:
        study: The study's folder.
        trial: The trial.
    """
    trial_file(study, trial.number, ".json").unlink(missing_ok=True)


def forget_those_over(study: Path, trials: Mapping[int, TrialRecord]) -> None:
    """Remove what a killed study, or its workers, have left of trials that are over or are none of it.

    Args:
        study: The study's folder.
        trials: Its trials by number.
    """
    for path in (study / _FOLDER).glob("*"):
        trial = trials.get(int(path.stem)) if path.stem.isdecimal() else None
        is_left = trial is None or trial.status in OVER
        if is_left and not is_held(path):
            path.unlink(missing_ok=True)


def trials_held(study: Path) -> Iterator[tuple[str, str]]:
    """The trials that a process has, each with what that says of itself.

    Args:
        study: The study's folder.
    """
    for path in sorted((study / _FOLDER).glob("*.lock")):
        if is_held(path):
            yield path.stem, holder(path)
