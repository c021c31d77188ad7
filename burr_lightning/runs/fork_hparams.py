"""The hyperparameters that a fork is to have others of, checked before anything is made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import ForkError, UnknownHparamError
from ..optimizer_names import OF_GROUPS, RATES

_NEVER_NEGATIVE = (*RATES, "weight_decay", "momentum")


def checked_hparams(hparams: Mapping[str, Any], known: Mapping[str, Any], call: str) -> dict[str, Any]:
    """What is to change, as rows keep it.

    Args:
        hparams: What the user gave.
        known: The hyperparameters that the run has.
        call: The call, for errors.

    Raises:
        UnknownHparamError: If one is neither the run's nor an optimizer's.
        ForkError: If a value is of another kind than it has to be.
    """
    new = _as_rows_keep(hparams, call)
    for name, value in new.items():
        of_optimizer = name in OF_GROUPS or (name in RATES and not {*RATES} & known.keys())
        if name not in known and not of_optimizer:
            raise UnknownHparamError(call, name, known)
        _refuse_other_kind(call, name, value, known.get(name))
    return new


def _as_rows_keep(hparams: Mapping[str, Any], call: str) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(json.dumps({**hparams}, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ForkError(
            f"{call}: {error}. Hyperparameters of a fork are kept in its rows: give finite numbers, "
            f"texts, lists and dicts."
        ) from error
    return kept


def _refuse_other_kind(call: str, name: str, value: Any, known: Any) -> None:
    """What an optimizer would not take would fail in the middle of the training."""
    numbers = (int, float)
    is_number = isinstance(value, numbers) and not isinstance(value, bool)
    takes_number = name in _NEVER_NEGATIVE or (isinstance(known, numbers) and not isinstance(known, bool))
    if takes_number and not is_number:
        was = f", was {known!r}" if known is not None else ""
        raise ForkError(f"{call}: {name}={value!r} must be a number{was}.")
    if name == "betas" and not _are_betas(value):
        raise ForkError(f"{call}: betas={value!r} must be two numbers, 0 or more and less than 1.")
    if name in _NEVER_NEGATIVE and value < 0:
        raise ForkError(f"{call}: {name}={value!r} must be 0 or more.")


def _are_betas(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in value)
        and all(0 <= each < 1 for each in value)
    )
