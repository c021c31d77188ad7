"""Hyperparameters as rows hold them: a trial that is gone on with is given what it was given at first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from ..errors import ArgumentError

_PLAIN = "None, bool, int, float and str, and lists and dicts of them"


def plain_params(given: Any, trial: int) -> dict[str, Any]:
    """The hyperparameters of a trial, such that rows give them back equal and of the same types.

    Args:
        given: What the sampler said; numbers of NumPy and of torch become those of Python.
        trial: The trial.

    Raises:
        ArgumentError: If rows would give another value back.
    """
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"Study(sampler=...): for trial {trial} it returned {_shown(given)}. A sampler returns the "
            f"parameters of the trial as a dict, as {{'lr': 0.1}}."
        )
    params = {}
    for name, value in given.items():
        if type(name) is not str:
            raise ArgumentError(
                f"Study(sampler=...): for trial {trial} it returned a parameter named {_shown(name)}. "
                f"Names of parameters are str."
            )
        params[name] = plain = _of_python(value)
        if not _comes_back(plain):
            raise ArgumentError(
                f"Study(sampler=...): for trial {trial} it returned {_shown(value)} for the parameter "
                f"{name!r}, which rows cannot give back as it was to a trial that is gone on with. They can "
                f"hold {_PLAIN}. Return one of these, and have the objective make of it what it needs."
            )
    return params


def plain_space(space: Mapping[str, Any]) -> dict[str, Any]:
    """A space whose choices are such that rows give them back equal and of the same types.

    Args:
        space: The distribution of each parameter; numbers of NumPy and of torch among the choices become
            those of Python.

    Raises:
        ArgumentError: If a choice would be given back as another value.
    """
    return {name: _with_plain_choices(name, each) for name, each in space.items()}


def _with_plain_choices(name: str, distribution: Any) -> BaseDistribution:
    if not isinstance(distribution, CategoricalDistribution):
        return distribution  # type: ignore[no-any-return]
    choices = [_of_python(choice) for choice in distribution.choices]
    for choice, plain in zip(distribution.choices, choices, strict=True):
        if not _comes_back(plain):
            raise ArgumentError(
                f"Study(space={{{name!r}: CategoricalDistribution(...)}}): the choice {_shown(choice)} "
                f"cannot be given back by rows as it was to a trial that is gone on with. They can hold "
                f"{_PLAIN}. Let the choices be names, as in CategoricalDistribution(['small', 'large']), "
                f"and look up what they mean in the objective."
            )
    changed = any(
        type(plain) is not type(choice) for plain, choice in zip(choices, distribution.choices, strict=True)
    )
    return CategoricalDistribution(choices) if changed else distribution


def hashable_space(space: Mapping[str, BaseDistribution]) -> dict[str, BaseDistribution]:
    """A space whose choices can be looked up, as Optuna's figures do: lists and dicts are their JSON texts.

    Args:
        space: The distribution of each parameter.
    """
    return {
        name: CategoricalDistribution([_hashable(choice) for choice in each.choices])
        if isinstance(each, CategoricalDistribution)
        else each
        for name, each in space.items()
    }


def hashable_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters as values of a `hashable_space`.

    Args:
        params: The hyperparameters of a trial.

    Example:
        >>> hashable_params({"lr": 0.1, "widths": [64, 32]})
        {'lr': 0.1, 'widths': '[64, 32]'}
    """
    return {name: _hashable(value) for name, value in params.items()}


def _hashable(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, tuple, dict)) else value


def as_text(params: Mapping[str, Any]) -> str:
    """Hyperparameters as a row holds them: in JSON of its own, whose numbers no database changes."""
    return json.dumps(params)


def of_text(stored: str | Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters that a row holds; older rows have them as they are."""
    read = json.loads(stored) if isinstance(stored, str) else stored
    return dict(read)


def _of_python(value: Any) -> Any:
    """A value without the numbers of NumPy and torch."""
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        return value.item()
    if type(value) is list:
        return [_of_python(each) for each in value]
    if type(value) is dict:
        return {key: _of_python(each) for key, each in value.items()}
    return value


def _comes_back(value: Any) -> bool:
    try:
        return _same(value, json.loads(json.dumps(value)))
    except (TypeError, ValueError, RecursionError):
        return False


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types, down to the last one in them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _shown(value: Any) -> str:
    shown = repr(value)
    kind = type(value)
    named = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{shown if len(shown) <= 80 else shown[:79] + '…'} (of type {named})"
