"""What a segment came to: the newest value of its run, which is the one of the weights that it ends with."""

from __future__ import annotations

import math

from .trial import Trial


def see_that_it_trained(trial: Trial) -> None:
    """See that an objective has trained the epochs of a segment: the next ones go on from its run.

    Args:
        trial: The trial, after its objective has returned.

    Raises:
        ValueError: If it has not.
    """
    reached, fork = trial._state("epoch"), trial._state("fork")
    if reached is None:
        raise ValueError(
            "The objective trained no run of trial.callback(), and a member of a population goes on from its "
            "run. Give the Trainer trial.callback()."
        )
    begun = -1 if fork is None else fork["epoch"]
    if reached <= begun:
        why = trial._state("stop_reason")
        raise ValueError(
            f"The objective trained no epoch: trial {trial.number} goes on after epoch {begun}, and its run "
            f"ended there ({why}). Give Trainer(max_epochs=trial.max_epochs), which is "
            f"{trial.max_epochs}, and no stop_when that ends a member for good."
        )


def newest_value(trial: Trial) -> tuple[list[float], int | None]:
    """The newest value of the monitored metric, and the epoch after which the segment ended.

    Args:
        trial: The trial, after its objective has returned.

    Raises:
        ValueError: If there is none, or it is no number.
    """
    value, epoch = trial.newest_score
    if value is None:
        raise ValueError(
            f"The objective returned nothing, and its run logged no {trial.task.monitor!r}. Return the "
            f"value, or give the study a monitor that is logged."
        )
    if math.isnan(value):
        raise ValueError(
            f"{trial.task.monitor} is nan after epoch {epoch}: the member has diverged. It exploits another "
            f"one next."
        )
    return [value], epoch
