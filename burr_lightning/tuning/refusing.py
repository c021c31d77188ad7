"""What would silently be wrong in a study is refused before its first trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from burr.core import Condition
from optuna.samplers import BaseSampler

from ..errors import ArgumentError
from ..metric import Mode
from . import optuna_access as access
from .state import initial_state
from .stopping import of_one_value


def refuse_what_would_be_wrong(
    sampler: Any, pruner: Any, stop_when: Condition | None, directions: Sequence[Mode]
) -> None:
    """See that what the user gave does in a study what it does elsewhere.

    Args:
        sampler: What says which trial is next.
        pruner: What prunes trials, ``None`` for none.
        stop_when: What ends the study, ``None`` for nothing.
        directions: In which direction each value gets better.

    Raises:
        ArgumentError: If it would not.
    """
    _refuse_other_keys(stop_when, directions)
    if isinstance(sampler, BaseSampler) and access.has_constraints(sampler):
        raise ArgumentError(
            f"Study(sampler={type(sampler).__name__}(constraints_func=...)): constraints are computed of "
            f"what an objective tells its trial of Optuna's, and a trial of a study can tell nothing but its "
            f"values. Leave constraints_func out, and let the objective return a worse value where a "
            f"constraint is broken, or one value more and a direction for it."
        )
    if access.has_hyperband_of_unknown_end(pruner):
        raise ArgumentError(
            f"Study(pruner={type(pruner).__name__}(max_resource='auto')): each trial's process would look "
            f"for the brackets of Hyperband in what is over when it begins, so that they would not be the "
            f"same for all trials. Say how many epochs a trial trains at most: "
            f"HyperbandPruner(max_resource=...)."
        )
    asked = of_one_value(stop_when) if len(directions) > 1 else None
    if asked is not None:
        raise ArgumentError(
            f"Study(stop_when={asked}, direction={list(directions)!r}): it looks at the best trial, and with "
            f"{len(directions)} directions no trial is the best one. Use n_trials=..., max_seconds(...), or "
            f"a Burr condition of your own on the study's state."
        )


def _refuse_other_keys(stop_when: Condition | None, directions: Sequence[Mode]) -> None:
    """See that a condition can be asked: it would fail when the first trial has trained."""
    known = initial_state(directions, 1, None, 0)
    read = [] if stop_when is None else stop_when.reads
    unknown = [key for key in read if key not in known and not key.startswith("__")]  # Burr has its own
    if stop_when is not None and unknown:
        raise ArgumentError(
            f"Study(stop_when={stop_when.name}): it reads {', '.join(unknown)}, which the state of a study "
            f"does not have. That has {', '.join(known)}. What is to end the training of each trial belongs "
            f"to the trial: trial.callback(stop_when=...)."
        )
