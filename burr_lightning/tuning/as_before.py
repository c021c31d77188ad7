"""What a study has to have in common with itself, when it is gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from burr.core import State
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    distribution_to_json,
    json_to_distribution,
)

from ..errors import ArgumentError
from ..metric import Mode
from .ledger import Ledger


def refuse_other_directions(study_id: str, directions: tuple[Mode, ...], stored: State[Any]) -> None:
    """See that values are compared as they were.

    Raises:
        ArgumentError: If they are not.
    """
    before = stored["ledger"].directions
    if before != directions:
        raise ArgumentError(
            f"Study({study_id!r}) was begun with direction={list(before)}, and its "
            f"trials' values were compared so. Give it that one, or start a new study."
        )


def refuse_other_seed(study_id: str, seed: int | None, stored: State[Any]) -> None:
    """See that the random numbers come from where they came from.

    Raises:
        ArgumentError: If another seed is given.
    """
    if seed is not None and seed != stored["seed"]:
        raise ArgumentError(
            f"Study({study_id!r}, seed={seed!r}) was begun with seed={stored['seed']!r}, and what it tries "
            f"next follows from that. Leave the seed out, give it that one, or start a new study."
        )


def refuse_other_space(
    study_id: str, space: Mapping[str, BaseDistribution], before: Mapping[str, str], ledger: Ledger
) -> None:
    """See that the values that trials had are values that the space still has.

    A wider range is fine, and so is a parameter more or less.

    Args:
        study_id: The study.
        space: The distribution of each parameter now.
        before: Those of before, as Optuna writes them.
        ledger: The trials.

    Raises:
        ArgumentError: If a distribution is of another kind, or lacks the value of a trial.
    """
    for name in space.keys() & before.keys():
        now, then = space[name], json_to_distribution(before[name])
        if distribution_to_json(now) == before[name]:
            continue
        why = None
        if type(now) is not type(then):
            why = "a parameter keeps its kind"
        else:
            tried = ((trial.number, trial.params[name]) for trial in ledger if name in trial.params)
            lost = next(((number, value) for number, value in tried if not _has(now, value)), None)
            if lost is not None:
                why = f"trial {lost[0]} has tried {lost[1]!r}, which is no value of it any more"
        if why is not None:
            raise ArgumentError(
                f"Study({study_id!r}, space={{{name!r}: {now!r}}}) was begun with {then!r}: {why}. Give it "
                f"a range or choices that have all values that were tried, or start a new study."
            )


def _has(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value, as it was stored, is one of a distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return any(_stored(choice) == _stored(value) for choice in distribution.choices)
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    return bool(low <= value <= high)


def _stored(value: Any) -> Any:
    """A choice as JSON holds it, which has no tuples, and where ``True`` is no 1."""
    return [_stored(each) for each in value] if isinstance(value, (tuple, list)) else (type(value), value)
